# Headgate in a container: one static binary in an empty image.
#
#   docker build -t headgate --build-arg VERSION=$(git describe --tags --always) .
#   docker run --privileged --network host -v /sys/fs/bpf:/sys/fs/bpf -v /etc/headgate:/etc/headgate:ro \
#     -v /var/lib/headgate:/var/lib/headgate -v /run/headgate:/run/headgate headgate
#
# The bpf filesystem is the host's, so that the data path outlives the container and the next one takes
# it over. Both bases can be replaced, for building without a registry.
ARG BUILD_BASE=golang:1.26
ARG RUN_BASE=scratch

FROM ${BUILD_BASE} AS build
ARG VERSION=devel
ENV CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /headgate ./cmd/headgate

FROM ${RUN_BASE}
COPY --from=build /headgate /headgate
ENTRYPOINT ["/headgate"]
CMD ["run", "-c", "/etc/headgate/headgate.yaml"]
