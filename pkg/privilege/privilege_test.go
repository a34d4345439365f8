package privilege

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test runs itself once more: what is given up never comes back.
func TestOnlyWhatTheDaemonNeedsIsKeptInEveryThread(t *testing.T) {
	if os.Getenv("PRIVILEGE_TEST") != "" {
		giveUp(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("only root has something to give up")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "PRIVILEGE_TEST=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func giveUp(t *testing.T) {
	// A goroutine that holds a thread, beside those of the runtime.
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		_ = exec.Command("true").Run()
		<-stop
	}()
	if err := KeepDaemon(); err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads: %v, %v", tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		for _, line := range []string{
			"CapInh:\t0000000000000000", "CapPrm:\t000000c000003000", "CapEff:\t000000c000003000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1",
		} {
			if !strings.Contains(string(status), line+"\n") {
				t.Errorf("%s lacks %q:\n%s", task, line, status)
			}
		}
	}
	out, err := exec.Command("grep", "CapEff", "/proc/self/status").CombinedOutput()
	if err != nil || strings.Contains(string(out), "1ff") {
		t.Errorf("what is executed may do more: %s, %v", out, err)
	}
	if err := KeepDaemon(); err != nil {
		t.Errorf("once more: %v", err)
	}
}
