package store

import (
	"fmt"
	"strings"
	"testing"
)

// A page of many fat records is read to its end, on the embedded server too: in
// one pipeline its answers and our commands would wait for each other.
func TestManyRecordsAreReadToTheEnd(t *testing.T) {
	eachBed(t, map[string]func(b *bed){"records": func(b *bed) {
		const n = 1500
		var ids []string
		for i := range n {
			id := fmt.Sprintf("job-%04d", i)
			ids = append(ids, id)
			key := b.s.keys.job(id).name
			if err := b.s.rdb.HSet(b.ctx(), key, "id", id, "status", "finished", "caller_id", strings.Repeat("x", 1000)).Err(); err != nil {
				b.Fatal(err)
			}
		}
		if got := must[[]Record](b)(b.s.records(b.ctx(), ids)); len(got) != n {
			b.Errorf("%d records, want %d", len(got), n)
		}
	}})
}
