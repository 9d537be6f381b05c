/** What the bot token must be good for. */
export const neededScopes = ['chat:write', 'users:read', 'channels:read', 'groups:read'] as const

/** An app of Slack as it is entered at api.slack.com ("from a manifest"). */
export const makeManifest = ({ by, consoleUrl }: { readonly by: 'socket' | 'http'; readonly consoleUrl: string }): object => ({
  display_information: { name: 'Countersign', description: 'Approve or deny what agents ask for.' },
  features: { bot_user: { display_name: 'countersign', always_online: true } },
  oauth_config: { scopes: { bot: neededScopes } },
  settings: {
    interactivity: { is_enabled: true, ...(by === 'http' ? { request_url: `${consoleUrl}/slack/interactions` } : {}) },
    org_deploy_enabled: false,
    socket_mode_enabled: by === 'socket',
    token_rotation_enabled: false,
  },
})
