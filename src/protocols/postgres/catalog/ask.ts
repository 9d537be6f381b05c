/** Runs one statement that only reads, on a connection that is idle, and gives its rows as text. Rejects where the server reports an error. */
export type Ask = (sql: string) => Promise<readonly (readonly (string | null)[])[]>
