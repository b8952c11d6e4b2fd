# The edge as an image: `docker build -t edge .`, then
#   docker run --network host -v edge:/var/lib/edge -v ./edge.toml:/etc/edge/edge.toml:ro edge
# RTP needs a range of ports and the addresses carriers see, so the host's network is the plain way.

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/edge
COPY pyproject.toml README.md ./
COPY edge edge
RUN /opt/edge/bin/pip install --no-cache-dir '.[embedded,postgres,recording,s3]'

FROM python:3.12-slim
# What flows speak with, unless a voice of another kind is configured.
RUN apt-get update && apt-get install --yes --no-install-recommends espeak-ng && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/edge --create-home edge
COPY --from=build /opt/edge /opt/edge
COPY config/edge.toml /etc/edge/edge.toml
ENV PATH=/opt/edge/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /var/lib/edge
VOLUME /var/lib/edge
USER 10001
EXPOSE 5060/udp 5060/tcp 8080/tcp
# SIGTERM drains; give it longer than drain_seconds: `docker stop --time 120`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
ENTRYPOINT ["edge"]
CMD ["serve", "--config", "/etc/edge/edge.toml"]
