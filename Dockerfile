# Build it from the checkout, with Docker or Podman, for amd64 or arm64: docker build -t guestbook .
FROM docker.io/library/debian:trixie-slim AS python
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 && rm -rf /var/cache/apt/* /var/lib/apt/lists/*

FROM python AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
RUN python3 -m venv /opt/guestbook
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1
COPY requirements.txt .
RUN /opt/guestbook/bin/pip install --require-hashes --requirement requirements.txt
COPY . .
# The file locks all packages but the drivers of PostgreSQL and MariaDB.
RUN /opt/guestbook/bin/pip install --no-build-isolation ".[postgres,mariadb]" && \
    /opt/guestbook/bin/pip uninstall --yes setuptools pip

FROM python
RUN useradd --uid 1000 --home-dir /data guestbook && install -d -o 1000 -g 1000 -m 700 /data
COPY --from=build /opt/guestbook /opt/guestbook
USER 1000:1000
WORKDIR /data
ENV PATH=/opt/guestbook/bin:$PATH GUESTBOOK_DATA_DIR=/data PORT=8080
VOLUME /data
EXPOSE 8080
# Python obeys SIGINT from its start. The first process of a container gets SIGTERM only once it has a handler.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python3", "-IS", "-c", "import http.client, os, sys; it = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=8); it.request('GET', '/healthz'); sys.exit(it.getresponse().status != 200)"]
CMD ["guestbook", "run", "--host", "0.0.0.0"]
