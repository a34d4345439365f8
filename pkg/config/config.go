// Package config reads and writes the YAML file. It is strict: what it does not know it refuses, and it
// says everything that is wrong at once, each fault with its line and column.
package config

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/headgate/headgate/pkg/lb"
)

// File is what a configuration file says, with defaults where it says nothing.
type File struct {
	Interfaces []string       // where the program attaches; may be empty, as commands other than run need none
	XDPMode    string         // XDPAuto, XDPNative or XDPGeneric
	SNAT       []netip.Addr   // addresses that NAT sends from; empty: the egress interface's own
	VIPPool    []netip.Prefix // what the API gives to balancers, in this order; masked, without overlaps
	Region     string         // where the API says that balancers are
	Domain     string         // of the names that the API gives to balancers
	StateDir   string         // of the embedded store; absolute
	BPFFS      string         // where maps, program and links are pinned; absolute
	FlowTable  FlowTable
	// Entries of the tables of clients: those who stick to a node, and those whose rate is limited.
	StickyTable, ThrottleTable uint32

	API       API
	Metrics   Metrics
	Balancers []lb.Balancer // valid, with defaults
}

// FlowTable is the size of the flow table in entries per address family: powers of two. A NAT flow
// takes two entries, one per direction.
type FlowTable struct{ V4, V6 uint32 }

// API says where the daemon listens.
type API struct {
	Socket    string // absolute path of the unix socket
	Listen    string // ADDRESS:PORT for TCP; empty: none
	TokenFile string // absolute path of the file with the token that TCP asks for; there whenever Listen is
	TLSCert   string // absolute path of the certificate chain, PEM; empty: no TLS
	TLSKey    string // absolute path of its key, PEM; there whenever TLSCert is
}

// Metrics says where Prometheus finds the daemon's figures.
type Metrics struct {
	Listen string // IP:PORT or :PORT; empty: nowhere
}

// What xdp_mode may be.
const (
	XDPAuto    = "auto"    // native, else generic with a warning
	XDPNative  = "native"  // in the driver, or not at all
	XDPGeneric = "generic" // in the network stack: works everywhere, at a third of the speed
)

// What holds where the file says nothing.
const (
	DefaultStateDir = "/var/lib/headgate"
	DefaultBPFFS    = "/sys/fs/bpf/headgate"
	DefaultSocket   = "/run/headgate/headgate.sock"
	DefaultMetrics  = "127.0.0.1:9464"
	DefaultRegion   = "local"
	DefaultDomain   = "headgate.internal"
	DefaultFlowsV4  = 1 << 20
	DefaultFlowsV6  = 1 << 18

	DefaultStickyTable   = 1 << 18
	DefaultThrottleTable = 1 << 16
)

// fileMost is the largest file that is read. Ten thousand nodes take about one megabyte.
const fileMost = 64 << 20

// Default is what an empty mapping says.
func Default() *File {
	return &File{
		XDPMode:   XDPAuto,
		StateDir:  DefaultStateDir,
		BPFFS:     DefaultBPFFS,
		Region:    DefaultRegion,
		Domain:    DefaultDomain,
		FlowTable: FlowTable{V4: DefaultFlowsV4, V6: DefaultFlowsV6},

		StickyTable: DefaultStickyTable, ThrottleTable: DefaultThrottleTable,
		API:     API{Socket: DefaultSocket},
		Metrics: Metrics{Listen: DefaultMetrics},
	}
}

// Load reads the file at path. When it cannot be read, the error says why; when its content is at
// fault, the error is Faults and holds all of them.
func Load(path string) (*File, error) {
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, fileMost+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > fileMost {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, fileMost>>20)
	}
	return data, nil
}

// Parse reads data, the content of a file with that name. The error is Faults and holds all that is
// wrong.
func Parse(name string, data []byte) (*File, error) {
	root, faults := parseYAML(name, data)
	if len(faults) > 0 {
		return nil, faults
	}
	d := decoder{name: name, file: Default()}
	d.mapping(root, "", d.fileFields())
	for _, f := range lb.Validate(d.file.Balancers) {
		d.addUnlessKnown(place(root, f.Path), f.Path, f.Reason)
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return d.file, nil
}
