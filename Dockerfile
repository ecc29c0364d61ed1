# Build: docker build -t ordain .
# Run:   docker run -p 127.0.0.1:8000:8000 -v ordain-data:/data -e ORDAIN_ADMIN_KEY="$(openssl rand -hex 32)" ordain
FROM rust:1.92-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin ordain

FROM debian:bookworm-slim
COPY --from=build /src/target/release/ordain /usr/local/bin/ordain
# A number, so that a cluster can check that it is not root.
RUN install -d -o 10001 -g 10001 /data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# A container has to listen beyond its own loopback, and so needs a key: ORDAIN_ADMIN_KEY, or one in its database.
ENV ORDAIN_BIND=0.0.0.0:8000 ORDAIN_DATABASE_URL=sqlite:///data/ordain.db
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["ordain", "health"]
ENTRYPOINT ["ordain"]
CMD ["serve"]
