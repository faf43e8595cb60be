package store

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// R28: a type that has jobs waiting is not passed over for longer than its weight says. Each other type gets at most its
// weight / that of the one that waits, rounded up, in between: with equal weights one job.
func TestTurnsAreFair(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *server) {
		s := srv.open(t)
		checks(t, map[string]string{"real": "50", "mini": "20"}[srv.name])
		rapid.Check(t, func(rt *rapid.T) {
			if err := s.rdb.FlushAll(t.Context()).Err(); err != nil {
				rt.Fatal(err)
			}
			b := newBedOn(t, srv, s)
			all := []string{"sh", "t1", "t2", "t3"}[:rapid.IntRange(2, 4).Draw(rt, "types")]
			weights := map[string]int{}
			for _, jobType := range all {
				weights[jobType] = rapid.IntRange(1, 6).Draw(rt, "weight of "+jobType)
			}
			a := b.serving("p_1", "i1", MaxSlots, weights)
			backlog, passed := map[string]int{}, map[string]map[string]int{}
			for i := range 40 {
				if i == 0 || rapid.Bool().Draw(rt, "push") {
					jobType := rapid.SampledFrom(all).Draw(rt, "push to")
					for n := range rapid.IntRange(1, 4).Draw(rt, "jobs") {
						b.typed(fmt.Sprintf("%s-%d-%d", jobType, i, n), jobType, 0)
						backlog[jobType]++
					}
				}
				_, jobs := b.ids(a, nil, rapid.IntRange(1, 3).Draw(rt, "want"))
				for _, j := range jobs {
					for _, jobType := range all {
						if backlog[jobType] == 0 || jobType == j.Type {
							passed[jobType] = map[string]int{}
							continue
						}
						passed[jobType][j.Type]++
						if most := (weights[j.Type] + weights[jobType] - 1) / weights[jobType]; passed[jobType][j.Type] > most {
							rt.Fatalf("%d jobs of %s while %s waited, weights %v: want at most %d", passed[jobType][j.Type], j.Type, jobType, weights, most)
						}
					}
					backlog[j.Type]--
				}
			}
		})
	})
}
