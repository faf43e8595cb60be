package store

import (
	"fmt"
	"slices"
	"testing"
)

func TestHeldJobs(t *testing.T) {
	t.Parallel()
	eachBed(t, map[string]func(b *bed){
		"those whose token is theirs": func(b *bed) {
			var incs, want []string
			for i := range 60 { // more than one pipeline
				a := b.actor(fmt.Sprintf("p_%d", i), fmt.Sprintf("i%d", i))
				incs = append(incs, a.incarnation)
				id := fmt.Sprintf("j%d", i)
				b.job(id, uint64(i+1))
				b.take(a)
				want = append(want, id)
			}
			// An id in a list whose record says otherwise is not in hand.
			b.s.rdb.RPush(b.ctx(), b.s.keys.held("i0").name, "j7", "nobody")
			var got []string
			for _, r := range must[[]Record](b)(b.d.HeldJobs(b.ctx(), incs)) {
				got = append(got, r.ID)
				if r.Token.Attempt != 1 || r.StartedAt.IsZero() || r.ReadyAt.IsZero() || r.Script != "" {
					b.Errorf("%+v", r)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				b.Errorf("held %v, want %v", got, want)
			}
		},
		"bounds": func(b *bed) {
			if r := must[[]Record](b)(b.d.HeldJobs(b.ctx(), nil)); len(r) != 0 {
				b.Error(r)
			}
			if _, err := b.d.HeldJobs(b.ctx(), make([]string, 201)); err == nil {
				b.Error("201 incarnations are taken")
			}
			if _, err := b.d.HeldJobs(b.ctx(), []string{"a b"}); err == nil {
				b.Error("a bad incarnation is taken")
			}
		},
	})
}

// A Redis at its maxmemory still lets facts be read: what it refuses has to be told.
func TestFactsAreReadFromAFullRedis(t *testing.T) {
	t.Parallel()
	b := newBed(t, realServer(t))
	b.actor("p_1", "i1")
	if err := b.s.rdb.ConfigSet(b.ctx(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.s.rdb.Set(b.ctx(), "x", "y", 0).Err(); err == nil {
		t.Fatal("Redis is not full: this test does not test what it says")
	}
	if k := b.kinds(); k != "hello" {
		t.Errorf("facts %q, want hello", k)
	}
}
