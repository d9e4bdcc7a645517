# Needs `make bundle` first, by a Python of the same version on Linux: nothing is installed but what
# lies in it. See docs/offline.md.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim
RUN --mount=type=bind,source=dist/bundle/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels defectsynth-pipeline
RUN defectsynth init /project
WORKDIR /project
VOLUME /project/data
ENTRYPOINT ["defectsynth"]
CMD ["doctor"]
