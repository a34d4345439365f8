# Headgate in a container: one static binary in an empty image.
#
#   docker build -t headgate --build-arg VERSION=$(git describe --tags --always) --build-arg COMMIT=$(git rev-parse HEAD) .
#   docker run --privileged --network host -v /sys/fs/bpf:/sys/fs/bpf -v /etc/headgate:/etc/headgate:ro \
#     -v /var/lib/headgate:/var/lib/headgate -v /run/headgate:/run/headgate headgate
#
# Instead of --privileged, these powers are enough: BPF and PERFMON to load the program, NET_ADMIN to attach
# it and to keep neighbours resolved (and NET_RAW for balancers that are announced); the engine's own filter of
# system calls has to be off, because it knows no bpf():
#
#   --cap-drop ALL --cap-add BPF --cap-add PERFMON --cap-add NET_ADMIN --security-opt seccomp=unconfined
#
# Other places: -e HEADGATE_CONFIG=FILE; for commands inside, HEADGATE_SOCKET and HEADGATE_BPFFS. The bpf
# filesystem is the host's, so that the data path outlives the container and the next one takes it over. Both
# bases can be replaced, for building without a registry.
ARG BUILD_BASE=golang:1.26
ARG RUN_BASE=scratch

FROM ${BUILD_BASE} AS build
ARG VERSION=devel
ARG COMMIT=unknown
ENV CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /headgate ./cmd/headgate

FROM ${RUN_BASE}
ENV HEADGATE_CONFIG=/etc/headgate/headgate.yaml
COPY --from=build /headgate /headgate
ENTRYPOINT ["/headgate"]
CMD ["run"]
