package schedule

// Column is one of an alias table (A. J. Walker, 1977): a draw that hits column i belongs to i if its fraction
// of the column is below Threshold, in parts of 1<<32, else to Alias.
type Column struct {
	Threshold uint32
	Alias     int32
}

// Alias makes a table of as many columns as there are weights, all of them 1 or more. A draw that is even over
// the columns then belongs to everybody in proportion to the weights, at one look, however many they are.
func Alias(weights []int) []Column {
	total := 0
	for _, w := range weights {
		total += w
	}
	// What fills a column is total; everybody brings its weight times the number of columns.
	have := make([]int, len(weights))
	var light, heavy []int32 // who has less than a column, and who has at least one
	for i, w := range weights {
		if have[i] = w * len(weights); have[i] < total {
			light = append(light, int32(i))
		} else {
			heavy = append(heavy, int32(i))
		}
	}
	columns := make([]Column, len(weights))
	for len(light) > 0 {
		l, h := light[len(light)-1], heavy[len(heavy)-1]
		light = light[:len(light)-1]
		columns[l] = Column{Threshold: uint32(have[l] << 32 / total), Alias: h}
		if have[h] -= total - have[l]; have[h] < total {
			heavy = heavy[:len(heavy)-1]
			light = append(light, h)
		}
	}
	for _, h := range heavy {
		columns[h].Alias = h // all of it
	}
	return columns
}
