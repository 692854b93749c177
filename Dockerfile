# Sidestream's image; docs/image.md says how to build and run it. `npm run test:release` builds it from this very file.
ARG NODE_VERSION=24

# What runs: the packages of the lock file, without their tests, types and source maps. No package's script is run.
FROM node:${NODE_VERSION}-trixie-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -depth -type d \( -name test -o -name tests -o -name benchmarks -o -name examples -o -name .github \) -exec rm -r {} + \
 && find node_modules -type f \( -name '*.map' -o -name '*.[cm]ts' -o -name '*.ts' -o -name '*.md' ! -iname 'licen*' \) -delete \
 && find node_modules -type d -empty -delete

# The program, with the compiler that the lock file names.
FROM node:${NODE_VERSION}-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build -- --sourceMap false

# Debian 13, for its glibc: the current uWebSockets.js needs 2.38. Node as it is, without npm; nothing gives anybody more rights.
FROM debian:trixie-slim
# The folder is made here: Docker gives one that COPY --chmod makes the mode of its files, and then nobody could enter it.
RUN mkdir -m 755 /app && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
COPY --chmod=644 LICENSE package.json /app/
COPY --from=dependencies /build/node_modules /app/node_modules
COPY --from=build /build/dist /app/dist

ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="Sidestream" \
      org.opencontainers.image.description="A bridge from NATS to browsers, by Server-Sent Events" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

ENV NODE_ENV=production
# The config is looked for here: ./config.yaml. A number, so that Kubernetes can see that it is not root.
WORKDIR /etc/sidestream
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/node", "/app/dist/main.js", "health"]
ENTRYPOINT ["/usr/local/bin/node", "/app/dist/main.js"]
CMD ["serve"]
