# Needs `make bundle` first: nothing is installed but what lies in it. See docs/offline.md.
FROM python:3.12-slim
RUN --mount=type=bind,source=dist/bundle/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels defectsynth-pipeline
RUN defectsynth init /project
WORKDIR /project
VOLUME /project/data
ENTRYPOINT ["defectsynth"]
CMD ["doctor"]
