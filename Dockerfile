# One image for both services: `ppgssl api` (the default) and `ppgssl worker`. It holds no recordings,
# no datasets and no checkpoints; those live in the volumes of docker-compose.yml.
#
#   docker build -t ppgssl .
#
# torch comes from PyPI, whose Linux build brings CUDA. A host without a GPU saves gigabytes with
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t ppgssl .

# The dependencies alone: they change rarely, and a change of our own code keeps this layer.
FROM python:3.11-slim-bookworm AS dependencies
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_EXTRA_INDEX_URL=${TORCH_INDEX}
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['postgres'], *project['optional-dependencies']['gpu'], sep='\n')" \
      > requirements.txt \
    && pip --python /opt/venv/bin/python install --quiet -c constraints.txt -r requirements.txt


FROM python:3.11-slim-bookworm AS package
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY ppgssl ppgssl
COPY api api
COPY worker worker
RUN --mount=type=cache,target=/root/.cache/pip pip wheel --quiet --no-deps --wheel-dir /dist .


FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 ppgssl \
    && useradd --uid 10001 --gid ppgssl --home-dir /tmp --no-create-home --shell /usr/sbin/nologin ppgssl \
    && install --directory --owner ppgssl --group ppgssl /data /artifacts
COPY --from=dependencies /opt/venv /opt/venv
RUN --mount=type=bind,from=package,source=/dist,target=/dist \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-index --no-deps /dist/*.whl
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    PPGSSL_DATA_ROOT=/data \
    PPGSSL_ARTIFACT_ROOT=/artifacts \
    PPGSSL_HOST=0.0.0.0 \
    PPGSSL_PORT=8000
USER 10001:10001
WORKDIR /artifacts
EXPOSE 8000
# The API's; docker-compose.yml gives the worker one of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PPGSSL_PORT\"]}/healthz', timeout=4)"]
CMD ["ppgssl", "api"]
