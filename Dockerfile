# Countersign. Two images from one file:
#   docker build .                     the proxy: production dependencies only, non-root, no shell
#   docker build --target world .      the tour's identity provider and sample API, for docker-compose.yml

FROM node:24-slim AS production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && mkdir /state

FROM node:24-slim AS world
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
COPY examples ./examples
COPY policies ./policies
COPY schema ./schema
RUN mkdir /shared && chown 65532:65532 /shared
USER 65532:65532
ENTRYPOINT ["node"]

FROM gcr.io/distroless/nodejs24-debian12:nonroot
WORKDIR /app
COPY --from=production /app/node_modules ./node_modules
COPY package.json ./
COPY src ./src
COPY --from=production --chown=65532:65532 /state /var/lib/countersign
COPY docs/openapi.yaml ./docs/openapi.yaml
ENV NODE_ENV=production
USER 65532:65532
# Writable: /var/lib/countersign (journal, embedded store) and nothing else. Run with --read-only.
VOLUME ["/var/lib/countersign"]
EXPOSE 8080 8081 9901
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/nodejs/bin/node", "/app/src/cli/main.ts", "healthcheck"]
ENTRYPOINT ["/nodejs/bin/node", "/app/src/cli/main.ts"]
CMD ["serve", "--config", "/etc/countersign/countersign.yaml"]
