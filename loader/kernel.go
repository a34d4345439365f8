package loader

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// Baseline is the oldest kernel that Headgate is made for.
const Baseline = "6.1"

// CheckKernel says which of the things that the program needs this kernel lacks; nil when it lacks none.
func CheckKernel() error {
	needs := []struct {
		what  string
		probe func() error
	}{
		{"XDP programs (Linux 4.8)", func() error { return features.HaveProgramType(ebpf.XDP) }},
		{"maps in memory, BPF_F_MMAPABLE (Linux 5.5)", func() error { return features.HaveMapFlag(features.BPF_F_MMAPABLE) }},
		{"bpf_jiffies64 (Linux 5.6)", func() error { return features.HaveProgramHelper(ebpf.XDP, asm.FnJiffies64) }},
		{"atomic compare-and-swap, CPU v3 (Linux 5.12)", features.HaveV3ISA},
		{"bpf_loop (Linux 5.17)", func() error { return features.HaveProgramHelper(ebpf.XDP, asm.FnLoop) }},
	}
	for _, need := range needs {
		switch err := need.probe(); {
		case errors.Is(err, ebpf.ErrNotSupported):
			return fmt.Errorf("kernel %s is too old: it lacks %s; Headgate needs Linux %s or newer", release(), need.what, Baseline)
		case err != nil:
			return explain(fmt.Errorf("probe the kernel for %s: %w", need.what, err))
		}
	}
	return nil
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "(unknown)"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// kernelHZ is the number of jiffies a second: the coarse clock moves once a jiffy.
func kernelHZ() (uint32, error) {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &res); err != nil {
		return 0, fmt.Errorf("read the kernel's tick: %w", err)
	}
	if res.Nano() <= 0 {
		return 0, fmt.Errorf("read the kernel's tick: got %d ns", res.Nano())
	}
	return uint32((int64(time.Second) + res.Nano()/2) / res.Nano()), nil
}

func monotonic() (uint64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return uint64(now.Nano()), nil
}
