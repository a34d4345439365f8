package main

import (
	"fmt"
	"strconv"
	"time"
)

// number groups thousands: 1,048,576.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size gives bytes in powers of 1,000: "12 B", "3.4 MB".
func size(n float64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%.0f B", n)
	}
	for i, u := range units {
		n /= 1000
		if n < 999.95 || i == len(units)-1 {
			return fmt.Sprintf("%.1f %cB", n, u)
		}
	}
	return ""
}

// rate gives a number per second that may be unknown.
func rate(n *float64, show func(float64) string) string {
	if n == nil {
		return "-"
	}
	return show(*n)
}

// decimal gives a number with one digit behind the point while it is small.
func decimal(n float64) string {
	if n == 0 || n >= 100 {
		return number(uint64(n + 0.5))
	}
	return strconv.FormatFloat(n, 'f', 1, 64)
}

// ago gives how long something is past.
func ago(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span gives a duration to two units: "3h12m", "12s", "250ms".
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}
