# Countersign. Two images from one file:
#   docker build .                     the proxy: production dependencies only, non-root, no shell
#   docker build --target world .      the tour's identity provider and sample API, for docker-compose.yml
#
# Both bases are arguments, so that a release can pin them by digest:
#   docker build --build-arg RUNTIME=gcr.io/distroless/nodejs24-debian13@sha256:… .
ARG BUILD=node:24.21.0-slim
ARG RUNTIME=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

# No package runs a script of its own while it is installed, and none of them is built for one processor:
# what is copied below is the same everywhere. The pinned Node (an optional package) stays out, each base brings one.
FROM packages AS production
RUN npm ci --omit=dev --omit=optional --ignore-scripts
RUN mkdir -m 0700 /state

FROM packages AS world
RUN npm ci --omit=optional --ignore-scripts
RUN mkdir /shared && chown 65532:65532 /shared
COPY src ./src
COPY examples/world ./examples/world
USER 65532:65532
ENTRYPOINT ["node"]

FROM ${RUNTIME}
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="Identity-aware reverse proxy with action-level approvals for AI agents and pipelines" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=production --chown=65532:65532 /state /var/lib/countersign
COPY --from=production /app/node_modules ./node_modules
COPY LICENSE package.json ./
COPY docs/openapi.yaml ./docs/openapi.yaml
COPY src ./src
ENV NODE_ENV=production
USER 65532:65532
# Writable: /var/lib/countersign (journal, embedded store) and nothing else. Run with --read-only.
VOLUME ["/var/lib/countersign"]
EXPOSE 8080 8081
# Asks the admin listener, which stays on the container's loopback: 9901 is not exposed.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/nodejs/bin/node", "/app/src/cli/main.ts", "healthcheck"]
# The young heap stays small: thousands of waiting requests cost a third less memory, and a request costs no more (docs/operations.md).
ENTRYPOINT ["/nodejs/bin/node", "--min-semi-space-size=16", "--max-semi-space-size=16", "/app/src/cli/main.ts"]
CMD ["serve", "--config", "/etc/countersign/countersign.yaml"]
