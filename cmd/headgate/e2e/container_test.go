package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/scripts/lab/peer"
)

// source is the project, which the Dockerfile builds.
const source = "../../.."

// engine is a container engine with a storage of its own. Nothing of it comes from a registry.
type engine struct {
	t       *testing.T
	storage []string
	dir     string
}

func newEngine(t *testing.T, dir string) *engine {
	t.Helper()
	e := &engine{t: t, dir: dir, storage: []string{"--root", dir + "/store", "--runroot", dir + "/run", "--storage-driver", "vfs"}}
	e.makeBase()
	return e
}

// makeBase makes an image with a shell; Go itself, its modules and its cache are mounted when it is used.
func (e *engine) makeBase() {
	e.t.Helper()
	bin := filepath.Join(e.dir, "base/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		e.t.Fatal(err)
	}
	e.run("sh", "-c", fmt.Sprintf("cp $(command -v busybox) %[1]s/busybox && ln -s busybox %[1]s/sh", bin))
	file := filepath.Join(e.dir, "base/Dockerfile")
	content := "FROM scratch\nCOPY bin /bin\n" +
		"ENV PATH=/usr/local/go/bin:/bin HOME=/tmp GOPROXY=off GOTOOLCHAIN=local GOMODCACHE=/modules GOCACHE=/cache\n"
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.buildah("bud", "--isolation", "chroot", "-q", "-t", "base", "-f", file, filepath.Dir(file))
}

// build builds the project's Dockerfile as an image of that version.
func (e *engine) build(version string) (image string) {
	e.t.Helper()
	image = "localhost/headgate:" + version
	args := []string{"bud", "--isolation", "chroot", "-q", "-t", image,
		"--build-arg", "BUILD_BASE=localhost/base", "--build-arg", "VERSION=" + version}
	for variable, at := range map[string]string{"GOROOT": "/usr/local/go", "GOMODCACHE": "/modules", "GOCACHE": "/cache"} {
		args = append(args, "-v", strings.TrimSpace(e.run("go", "env", variable))+":"+at)
	}
	e.buildah(append(args, source)...)
	return image
}

func (e *engine) buildah(args ...string) {
	e.t.Helper()
	e.run("buildah", append(e.storage, args...)...)
}

func (e *engine) run(name string, args ...string) string {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// podman is the engine's command, up to the verb.
func (e *engine) podman() []string {
	return append(append([]string{"podman"}, e.storage...), "--cgroup-manager", "cgroupfs", "--runtime", "runc")
}

// wrapper writes a command that runs headgate of an image in a container of that name, with the lab's directory,
// where file, socket, state and bpffs are, and in the network of whoever calls it.
func (e *engine) wrapper(s *site, name, image string, powers ...string) (path string) {
	dir := s.star.Lab.Dir()
	args := append(e.podman(), "run", "--rm", "--name", name, "--network", "host", "--sdnotify", "ignore", "--log-driver", "none",
		"--ulimit", "nofile=20000:20000", "--ulimit", "nproc=30000:30000", "-v", dir+":"+dir, "-e", "NOTIFY_SOCKET")
	args = append(append(args, powers...), image)
	path = s.writeFile(name, "#!/bin/sh\nexec "+strings.Join(args, " ")+" \"$@\"\n")
	s.must(os.Chmod(path, 0o755))
	return path
}

// kill ends a container as `kill -9` does.
func (e *engine) kill(s *site, name string) {
	e.t.Helper()
	podman := append(e.podman(), "kill", "--signal", "KILL", name)
	e.run(podman[0], podman[1:]...)
	<-s.gate.Daemon().Done()
}

// A container is killed and another, newer and with fewer powers, takes its place: no request fails.
func TestAContainerIsReplacedByANewerOneWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, smallTable)
	s.servers()
	e := newEngine(t, s.star.Lab.Dir()+"/oci") // short: an engine refuses long paths
	older, newer := e.build("1.0.0"), e.build("1.0.1")
	cli := s.gate.Binary
	start := func(version, binary string) {
		s.gate.Binary = binary
		s.start()
		s.gate.Binary = cli // commands from outside
		s.eventually("it runs", func(st api.Status) bool { return st.Version == version })
		s.settled()
	}

	s.configure(s.yaml(conf{port: 80, extra: quickCheck, nodes: members(2, 8080, both)}))
	start("1.0.0", e.wrapper(s, "older", older, "--privileged"))
	wantShares(t, "in the first container", s.exchanges("tcp", 4, 80, 10), map[string]int{"a": 5, "b": 5})
	held := s.hold("tcp", 6, 80, 20)
	load := s.startLoad(peer.Load{Network: "tcp", Address: s.vip(4, 80), Workers: 10, Interval: 20 * time.Millisecond})
	e.kill(s, "older")
	start("1.0.1", e.wrapper(s, "newer", newer,
		"--cap-drop", "all", "--cap-add", "BPF,NET_ADMIN,PERFMON", "--security-opt", "seccomp=unconfined"))
	if r := s.finish(load); r.Failed != 0 || r.Done < 10 {
		t.Errorf("new connections meanwhile: %+v", r)
	}
	if r := s.pulse(held); r.Failed != 0 || r.Done != 2*r.Open {
		t.Errorf("connections that were held: %+v", r)
	}
	wantShares(t, "in the second container", s.exchanges("tcp", 6, 80, 10), map[string]int{"a": 5, "b": 5})
	s.checkCounts()
	e.kill(s, "newer")
}
