package reconcile

// cell is what is known of one thing in the maps that is written at once.
type cell[T comparable] struct {
	value T
	known bool
}

// known makes a cell of what was read.
func known[T comparable](v T) cell[T] { return cell[T]{value: v, known: true} }

// is reports whether the maps surely hold v.
func (c *cell[T]) is(v T) bool { return c.known && c.value == v }

// set writes v unless the maps surely hold it. After an error nothing is known.
func (c *cell[T]) set(r *Reconciler, v T, write func(T) error) error {
	if c.is(v) {
		return nil
	}
	c.known = false
	r.writes++
	if err := write(v); err != nil {
		return err
	}
	*c = known(v)
	return nil
}
