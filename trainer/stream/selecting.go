package stream

import "actfleet/shard"

// Select lists the rows of row group g that a filter keeps, in file order, for
// callers that read shards on their own. It looks at scalar columns only.
func Select(r *shard.Reader, g int, f Filter) ([]int, error) {
	m, err := f.compile(r.Schema())
	if err != nil {
		return nil, err
	}
	cols, err := r.Scalars(g, m.columns...)
	if err != nil {
		return nil, err
	}
	var rows []int
	for i := range r.GroupRows(g) {
		if m.keep(cols, i) {
			rows = append(rows, i)
		}
	}
	return rows, nil
}
