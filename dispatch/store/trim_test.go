package store

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// What was read goes, the mark stays, and reading on sees no gap.
func TestTrimFactsKeepsTheMark(t *testing.T) {
	eachBed(t, map[string]func(b *bed){"trim": func(b *bed) {
		k := b.s.keys.facts().name
		var ids []string
		for range 10 {
			ids = append(ids, must[string](b)(b.s.rdb.XAdd(b.ctx(), &redis.XAddArgs{Stream: k, Values: []string{"kind", "pong"}}).Result()))
		}
		if err := b.s.TrimFacts(b.ctx(), ids[7]); err != nil {
			b.Fatal(err)
		}
		if n := b.s.rdb.XLen(b.ctx(), k).Val(); n != 3 {
			b.Errorf("%d facts left, want the mark and two", n)
		}
		if got := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), ids[7], 0)); got.Lost || len(got.Facts) != 2 {
			b.Errorf("read on: %+v", got)
		}
	}})
}
