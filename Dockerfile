# One image for agent and collector: docker build --tag nodewhy:0.1.0 .

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libsystemd-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release -p nodewhy-agent -p nodewhy-collector -p kubectl-nodewhy \
    && install -D -t /out target/release/nodewhy-agent target/release/nodewhy-collector target/release/kubectl-nodewhy

FROM debian:bookworm-slim
# libsystemd brings the decompressors that journal files need (zstd, lz4, xz).
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libsystemd0 liblz4-1 liblzma5 libzstd1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/bin/
# The collector's user; the DaemonSet runs the agent as root with two capabilities (daemonset/agent.yaml says why).
USER 65532:65532
CMD ["nodewhy-collector", "run"]
