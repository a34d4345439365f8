package packet

import (
	"fmt"
	"slices"
	"strings"
)

// Diff compares two frames by layers. It returns "" when all bytes are equal, else the text of both
// with - before what only want has, + before what only got has, and the fields that differ.
func Diff(want, got []byte) string {
	if slices.Equal(want, got) {
		return ""
	}
	return DiffText(Format(want), Format(got))
}

// DiffText compares two texts line by line as Diff compares frames; "" when they are equal.
func DiffText(want, got string) string {
	if want == got {
		return ""
	}
	a, b := strings.Split(strings.TrimSuffix(want, "\n"), "\n"), strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	var out strings.Builder
	i, j := 0, 0
	for _, pair := range append(commonLines(a, b), [2]int{len(a), len(b)}) {
		writeChange(&out, a[i:pair[0]], b[j:pair[1]])
		if pair[0] < len(a) {
			fmt.Fprintf(&out, "  %s\n", a[pair[0]])
		}
		i, j = pair[0]+1, pair[1]+1
	}
	return out.String()
}

// commonLines returns the indices of a longest common subsequence.
func commonLines(a, b []string) [][2]int {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var common [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			common = append(common, [2]int{i, j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return common
}

// writeChange writes lines that differ, each of a beside the one of b that took its place.
func writeChange(out *strings.Builder, a, b []string) {
	for k := range max(len(a), len(b)) {
		if k < len(a) {
			fmt.Fprintf(out, "- %s\n", a[k])
		}
		if k < len(b) {
			fmt.Fprintf(out, "+ %s\n", b[k])
		}
		if k < len(a) && k < len(b) {
			writeWords(out, a[k], b[k])
		}
	}
}

// writeWords points at the words in which two lines differ, if their form is the same.
func writeWords(out *strings.Builder, a, b string) {
	from, to := strings.Fields(a), strings.Fields(b)
	if len(from) != len(to) || len(from) == 0 || from[0] != to[0] {
		return
	}
	var changes []string
	for i := range from {
		if from[i] != to[i] {
			changes = append(changes, fmt.Sprintf("%s, not %s", to[i], from[i]))
		}
	}
	fmt.Fprintf(out, "    is %s\n", strings.Join(changes, "; "))
}
