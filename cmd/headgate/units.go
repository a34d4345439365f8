package main

import (
	"math"
	"strconv"
	"time"
)

// number groups thousands: 1,048,576.
func number(n uint64) string { return string(appendNumber(nil, n)) }

// appendNumber is number for those who write many.
func appendNumber(b []byte, n uint64) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	for i, d := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, d)
	}
	return b
}

// size gives bytes in powers of 1,000: "12 B", "3.4 MB".
func size(n float64) string { return string(appendSize(nil, n)) }

// appendSize is size for those who write many.
func appendSize(b []byte, n float64) []byte {
	const units = "kMGTPE"
	if n < 1000 {
		return append(strconv.AppendInt(b, int64(math.RoundToEven(n)), 10), " B"...)
	}
	i := 0
	for n /= 1000; n >= 999.95 && i < len(units)-1; i++ {
		n /= 1000
	}
	tenths := int64(math.RoundToEven(10 * n)) // of a float the library makes digits much more slowly
	return append(strconv.AppendInt(b, tenths/10, 10), '.', '0'+byte(tenths%10), ' ', units[i], 'B')
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
func span(d time.Duration) string { return string(appendSpan(nil, d)) }

// appendSpan is span for those who write many.
func appendSpan(b []byte, d time.Duration) []byte {
	two := func(n int64) []byte {
		if n < 10 {
			b = append(b, '0')
		}
		return strconv.AppendInt(b, n, 10)
	}
	switch seconds := int64(d.Seconds()); {
	case d < time.Second:
		return append(b, d.Round(time.Millisecond).String()...)
	case d < time.Minute:
		return append(strconv.AppendInt(b, seconds, 10), 's')
	case d < time.Hour:
		b = append(strconv.AppendInt(b, seconds/60, 10), 'm')
		return append(two(seconds%60), 's')
	case d < 48*time.Hour:
		b = append(strconv.AppendInt(b, seconds/3600, 10), 'h')
		return append(two(seconds/60%60), 'm')
	default:
		b = append(strconv.AppendInt(b, seconds/86400, 10), 'd')
		return append(two(seconds/3600%24), 'h')
	}
}
