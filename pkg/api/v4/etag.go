package v4

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"net/http"
	"strings"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/store"
)

// A tag stands for what was declared of an object: it stays the same, also through restarts, until somebody
// changes that, whatever becomes of its health and counters. The tag of a config covers its nodes, which a
// rebuild replaces.

func tagOfBalancer(b *lb.Balancer, note *store.Note) string {
	return tag(b.ID, func(h hash.Hash) {
		digest(h, b, lb.BalancerFields)
		fmt.Fprintf(h, "%q %q", b.Tags, note.Type)
	})
}

func tagOfConfig(c *lb.Config, note store.ConfigNote) string {
	return tag(c.ID, func(h hash.Hash) {
		digest(h, c, lb.ConfigFields)
		fmt.Fprintf(h, "%+v", note)
		for i := range c.Nodes {
			fmt.Fprintf(h, "%d", c.Nodes[i].ID)
			digest(h, &c.Nodes[i], lb.NodeFields)
		}
	})
}

func tagOfNode(n *lb.Node) string {
	return tag(n.ID, func(h hash.Hash) { digest(h, n, lb.NodeFields) })
}

func tag(id int, write func(hash.Hash)) string {
	h := fnv.New64a()
	write(h)
	return fmt.Sprintf(`"%d-%016x"`, id, h.Sum(nil))
}

func digest[T any](h hash.Hash, t *T, table []lb.Field[T]) {
	for i := range table {
		io.WriteString(h, table[i].Get(t)) // a hash takes everything
		h.Write([]byte{0})
	}
}

// match holds the object that has this tag against the If-Match of a request.
func match(r *http.Request, tag func() string) error {
	want := r.Header.Values("If-Match")
	if len(want) == 0 {
		return nil
	}
	now := tag()
	for each := range strings.SplitSeq(strings.Join(want, ","), ",") {
		if each = strings.TrimSpace(each); each == "*" || each == now {
			return nil
		}
	}
	return refuse(http.StatusPreconditionFailed, fmt.Sprintf("it was changed meanwhile, its ETag is %s: read it again", now))
}
