package config

import (
	"fmt"
	"testing"
)

func TestACircleOfPoolsIsRefused(t *testing.T) {
	const prefix = "herosup-0badcafe-"
	for name, x := range map[string]struct {
		after map[string][]string
		want  string // "" for none
	}{
		"services of others": {map[string][]string{"a": {"redis", "b_1"}, "b": {"a_1"}}, ""},
		"a chain":            {map[string][]string{"a": {prefix + "b_1"}, "b": {prefix + "c_2", prefix + "redis"}, "c": nil}, ""},
		"a diamond": {
			map[string][]string{"a": {prefix + "b_1", prefix + "c_1"}, "b": {prefix + "d_1"}, "c": {prefix + "d_1"}, "d": nil}, "",
		},
		"itself":               {map[string][]string{"a": {prefix + "a_1"}}, "a after a"},
		"behind a chain":       {map[string][]string{"a": {prefix + "b_1"}, "b": {prefix + "c_1"}, "c": {prefix + "b_9"}}, "b after c after b"},
		"of another Herosup's": {map[string][]string{"a": {"herosup-11111111-a_1"}}, ""},
	} {
		c := Config{File: "f.yaml", Pools: map[string]Pool{}}
		for pool, after := range x.after {
			c.Pools[pool] = Pool{After: after}
		}
		got, want := fmt.Sprint(c.CheckAfter(prefix)), "<nil>"
		if x.want != "" {
			want = fmt.Sprintf("configuration f.yaml: pools.%c.after: got a circle (%s), want an order in which actors can start", x.want[0], x.want)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
