# The project as it is committed, with its locked dependencies. compose.yaml starts it.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 hardgate \
    && install --directory --owner=hardgate /hardgate

USER hardgate
WORKDIR /hardgate
COPY --chown=hardgate . .
RUN make setup && install --directory --mode=700 .hardgate
ENV PATH=/hardgate/.venv/bin:$PATH
VOLUME /hardgate/.hardgate
EXPOSE 5000 4200
ENTRYPOINT ["hardgate"]
CMD ["up", "--host", "0.0.0.0"]
