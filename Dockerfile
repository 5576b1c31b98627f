# Serving on CPUs: `docker build -t tiber-serve .`; docs/deployment.md says how to run it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service service
# Without pip inside, and with all bytecode: nothing is written there later. OpenVINO does without the package
# that reports to its makers.
RUN python -m venv --without-pip /opt/tiber-serve \
    && pip --python /opt/tiber-serve install --no-cache-dir --no-compile --constraint constraints.txt . \
    && pip --python /opt/tiber-serve uninstall --yes openvino-telemetry \
    && /opt/tiber-serve/bin/python -m compileall -q -j 0 /opt/tiber-serve/lib

FROM python:3.11-slim-bookworm
# The number, not the name, is what volumes and Kubernetes' runAsNonRoot see.
RUN groupadd --gid 10001 tiber-serve \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tiber-serve \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/tiber-serve \
    && install --directory /models
COPY --from=build /opt/tiber-serve /opt/tiber-serve
# Of the secrets these are but the paths.
# hadolint ignore=DL3064
ENV PATH=/opt/tiber-serve/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIBER_HOST=0.0.0.0 \
    TIBER_PORT=8000 \
    TIBER_LOG_FORMAT=json \
    TIBER_AUTH__TOKENS_FILE=/var/lib/tiber-serve/tokens.json \
    TIBER_AUTH__BANS_FILE=/var/lib/tiber-serve/bans.json
# What is in ./models is served: with / as the working folder, that is /models.
WORKDIR /
VOLUME ["/var/lib/tiber-serve"]
USER 10001:10001
EXPOSE 8000
# No curl here. Serving with TLS needs another one, and so does another port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["tiber-serve"]
CMD ["serve"]
