package v4

import (
	"net/http"
	"strconv"

	"github.com/headgate/headgate/pkg/lb"
)

// How many entries a page has.
const defaultPageSize = 100

var (
	pageSizeLimit = lb.Limit{Min: 25, Max: 500}
	pageLimit     = lb.Limit{Min: 1, Max: 1 << 31}
)

// page cuts the page out of a list that the request asks for, and shows it.
func page[T any](r *http.Request, list []T, show func(*T) members) (answer, error) {
	var f faults
	number := queryNumber(r, "page", pageLimit, 1, &f)
	size := queryNumber(r, "page_size", pageSizeLimit, defaultPageSize, &f)
	if err := f.err(); err != nil {
		return answer{}, err
	}
	pages := max(1, (len(list)+size-1)/size)
	if number > pages {
		return answer{}, notFound()
	}
	first := (number - 1) * size
	data := []members{}
	for i := first; i < min(first+size, len(list)); i++ {
		data = append(data, show(&list[i]))
	}
	return answer{body: members{{"data", data}, {"page", number}, {"pages", pages}, {"results", len(list)}}}, nil
}

func queryNumber(r *http.Request, key string, limit lb.Limit, standard int, f *faults) int {
	q := r.URL.Query()
	if !q.Has(key) {
		return standard
	}
	n, err := strconv.Atoi(q.Get(key))
	reason := limit.Reason(int64(n))
	if err != nil {
		reason = "must be " + limit.Must()
	}
	if reason != "" {
		f.add(key, "%s %s", key, reason)
	}
	return n
}
