package maps

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/loader"
)

// duration turns jiffies of the tables' kernel into time.
func (m *memory) duration(jiffies uint32) time.Duration { return m.duration64(uint64(jiffies)) }

// duration64 is good for 290 years.
func (m *memory) duration64(jiffies uint64) time.Duration {
	const second = uint64(time.Second)
	hz := uint64(m.hz())
	return time.Duration(jiffies/hz*second + jiffies%hz*second/hz)
}

// jiffies turns time into jiffies, rounded up; what does not fit stays at the greatest time that
// can be told from the past (half of the circle that 32-bit jiffies run in).
func (m *memory) jiffies(d time.Duration) uint32 {
	const most = 1<<31 - 1
	hz := uint64(m.hz())
	if d <= 0 {
		return 0
	}
	if uint64(d/time.Second) >= most/hz {
		return most
	}
	return uint32((uint64(d)*hz + uint64(time.Second) - 1) / uint64(time.Second))
}

func (m *memory) hz() uint32 {
	if m.meta.Hz == 0 { // tables that nobody has prepared
		return 1
	}
	return m.meta.Hz
}

// since returns the time between two 32-bit jiffies. What lies in the future, because another CPU
// is a tick ahead, was just now.
func (m *memory) since(then, now uint32) time.Duration { return m.duration(passed(then, now)) }

func passed(then, now uint32) (jiffies uint32) {
	if int32(now-then) < 0 {
		return 0
	}
	return now - then
}

// jiffiesAt returns the low half of the kernel's jiffies at a moment, as the flow table keeps them.
func jiffiesAt(meta *loader.Meta, monotonic uint64) uint32 {
	return uint32(jiffies64At(meta, monotonic))
}

// jiffies64At returns the kernel's jiffies at a moment of CLOCK_MONOTONIC in nanoseconds: counted on
// from when the tables were made.
func jiffies64At(meta *loader.Meta, monotonic uint64) uint64 {
	const second = uint64(time.Second)
	passed, hz := monotonic-meta.MonotonicNs, uint64(meta.Hz)
	return meta.Jiffies + passed/second*hz + passed%second*hz/second
}

// monotonic returns CLOCK_MONOTONIC in nanoseconds.
func monotonic() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // does not happen with a clock that exists
	}
	return uint64(ts.Nano())
}
