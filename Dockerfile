# rtcd in a container; docs/docker.md says how to run it. The first stage builds wheels, the second has no compiler and no pip
# of its own in what runs. Both name the minor version: the next one of Python comes when somebody has tried it.
FROM python:3.13-slim AS build

WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --quiet --wheel-dir /wheels ".[cluster]"
WORKDIR /etc/rtcd
RUN python -m venv --without-pip /opt/rtcd \
    && pip --python /opt/rtcd/bin/python install --no-cache-dir --no-index --quiet /wheels/*.whl \
    && /opt/rtcd/bin/python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))" \
    && /opt/rtcd/bin/python -m rtcd.sample > rtcd.ini

FROM python:3.13-slim

RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/rtcd --shell /usr/sbin/nologin rtcd \
    && install -d -o rtcd -g rtcd -m 0700 /var/lib/rtcd
COPY --from=build /opt/rtcd /opt/rtcd
COPY --from=build /etc/rtcd /etc/rtcd
ENV PATH=/opt/rtcd/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STATE_DIRECTORY=/var/lib/rtcd
WORKDIR /var/lib/rtcd
VOLUME /var/lib/rtcd

# Nobody's superuser: calls are relayed by sockets. To relay in the kernel start it as root, with --uid=rtcd --gid=rtcd in
# front of the command, and with the capabilities that compose.yaml names.
USER 10001
EXPOSE 8443/tcp 8443/udp 8080/tcp 3478/tcp 3478/udp 5349/tcp 49152-50175/udp
HEALTHCHECK --interval=30s --timeout=15s --start-period=15s \
    CMD ["/opt/rtcd/bin/rtcd", "health", "--quiet", "--config", "/etc/rtcd/rtcd.ini"]
ENTRYPOINT ["/opt/rtcd/bin/twistd", "-n", "--pidfile="]
CMD ["rtcd", "--config", "/etc/rtcd/rtcd.ini"]
