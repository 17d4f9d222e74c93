# A Mycelog node: built with all dependencies, run with those it needs, as a user of its own.

FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY persistence ./persistence
COPY runtime ./runtime
COPY actors ./actors
COPY gateway ./gateway
COPY cli ./cli
COPY testing ./testing
COPY console ./console
RUN npm run build

FROM node:22-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:22-bookworm-slim
ENV NODE_ENV=production \
	MYCELOG_HOST=0.0.0.0 \
	MYCELOG_PORT=9527 \
	MYCELOG_DATA_DIR=/data \
	MYCELOG_LOG_FORMAT=json
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json README.md LICENSE ./
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 9527
# Ready by progress: the log answers and every owned partition has caught up.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
	CMD ["node", "-e", "const { MYCELOG_PORT, MYCELOG_BASE_PATH = '' } = process.env; fetch(`http://127.0.0.1:${MYCELOG_PORT}${MYCELOG_BASE_PATH}/health/readiness`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["start"]
