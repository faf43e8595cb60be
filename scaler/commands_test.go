package scaler

import (
	"fmt"
	"testing"
	"time"

	"herosup/events"
)

func TestOverridesByHand(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }
		want := `{"pool":"bash","count":2,"until":"` + at(time.Minute) + `","paused":false}`
		b.want([]string{b.request(events.PoolScale{Pool: "bash", Count: 2, For: 60})}, want)
		b.want(b.quiet(), "scaled bash 2", "start bash_1", "start bash_2",
			"decided: bash 0→2 (wanted 0): 0 ready, 0 running, target 1 per actor; limited by override: set to 2 by hand for another 1m0s")
		b.moved("bash_1", "idle")
		b.moved("bash_2", "idle")
		b.want(actions(b.quiet()))
		b.pass(time.Minute)
		b.want(b.quiet(), "decided: bash 2 stays (wanted 0): 0 ready, 0 running, target 1 per actor; limited by stale: measured 1m0s ago, older than 10s, so nothing is stopped")
		// An override does not wait for anything.
		b.want([]string{b.request(events.PoolScale{Pool: "bash", Count: 1})}, `{"pool":"bash","count":1,"until":"`+at(time.Hour)+`","paused":false}`)
		b.want(actions(b.quiet()), "stop bash_2")
		b.want([]string{b.request(events.PoolPause{Pool: "bash"})}, `{"pool":"bash","count":1,"until":"`+at(time.Hour)+`","paused":true}`)
		b.want([]string{b.request(events.PoolScale{Pool: "bash", Count: -1})}, `{"pool":"bash","paused":true}`)
		b.say(b.dispatch, b.queued("j1"), b.queued("j2"), b.queued("j3"))
		b.want(actions(b.quiet()))
		b.want([]string{b.request(events.PoolResume{Pool: "bash"})}, `{"pool":"bash","paused":false}`)
		b.want(actions(b.quiet()), "start bash_3", "start bash_4")
	})
}

func TestBadCommandsAreRefused(t *testing.T) {
	bubble(t, append(bash(nil), Pool{Name: "python", Types: []string{"python"}, Policy: DefaultPolicy()}), func(t *testing.T, b *bed) {
		b.up()
		for _, c := range []struct {
			e    events.Event
			want string
		}{
			{events.PoolScale{Pool: "pyton", Count: 1}, `rejected pool-scale unknown_pool: pool "pyton" is not configured (did you mean "python"?)`},
			{events.PoolPause{Pool: "xyz"}, `rejected pool-pause unknown_pool: pool "xyz" is not configured (pools: bash, python)`},
			{events.PoolScale{Pool: "bash", Count: 5}, `rejected pool-scale bad_count: scale bash: count is 5, want 0..4 (max of this pool is 4; -1, in herosup scale auto, lets the scaler decide again)`},
			{events.PoolScale{Pool: "bash", Count: -2}, `rejected pool-scale bad_count: scale bash: count is -2, want 0..4 (max of this pool is 4; -1, in herosup scale auto, lets the scaler decide again)`},
			{events.PoolScale{Pool: "bash", Count: 1, For: -3}, `rejected pool-scale bad_time: scale bash: for is -3 seconds, want 0..315360000 or -1 (0 means one hour, -1 until it is cleared)`},
			{events.PoolScale{Pool: "bash", Count: 1, For: 1e300}, `rejected pool-scale bad_time: scale bash: for is 1e+300 seconds, want 0..315360000 or -1 (0 means one hour, -1 until it is cleared)`},
		} {
			if got := b.request(c.e); got[:6] != "error:" {
				t.Errorf("%v: %s", c.e, got)
			}
			b.want(b.quiet(), c.want)
		}
		if err := b.anyone.Conn().Publish("hero.cmd.pool.scale.bash", []byte(`{"count":"two"}`)); err != nil {
			t.Fatal(err)
		}
		if got := b.quiet(); len(got) != 1 || got[0][:31] != "rejected pool-scale malformed: " {
			t.Errorf("%q", got)
		}
	})
}

func TestJobsWithoutAPoolAreReported(t *testing.T) {
	bubble(t, append(bash(nil), Pool{Name: "off", Types: []string{"osis"}, Policy: Policy{Max: 0, TargetBacklog: 1, StartTimeout: time.Second, StaleAfter: time.Second}}), func(t *testing.T, b *bed) {
		b.up()
		for i := range 25 {
			b.say(b.dispatch, events.JobQueued{Type: "v", Job: fmt.Sprint("j", i), Ready: i + 1})
		}
		b.want(b.quiet(), "unserved v 1: no pool runs jobs of type v", "unserved v 10: no pool runs jobs of type v")
		b.say(b.dispatch, events.QueueMeasured{Type: "v", Ready: 2}, events.QueueMeasured{Type: "v", Ready: 1}, events.QueueMeasured{Type: "v"}, events.QueueMeasured{Type: "v"})
		b.want(b.quiet(), "unserved v 1: no pool runs jobs of type v")
		b.say(b.dispatch, events.JobQueued{Type: "v", Job: "again", Ready: 1}, events.JobQueued{Type: "osis", Job: "o", Ready: 1})
		b.want(b.quiet(), "unserved v 1: no pool runs jobs of type v", "unserved osis 1: max is 0 in pool off")
		b.pass(tellPause)
		b.want(b.quiet(), "decided: off 0 stays (wanted 1): 1 ready, 0 running, target 1 per actor; limited by max 0")
	})
}
