package zinit_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

func after(names ...string) config {
	return func(c *zinit.ExecutorConfig) {
		p := c.Pools[pool]
		p.After = names
		c.Pools[pool] = p
	}
}

// What a start waits for is told, by name, and the process when it comes. The order
// is zinit's.
func TestExecutorTellsWhatAStartWaitsFor(t *testing.T) {
	b := newExecutorBed(t, after("redis", "web"))
	b.order(b.startOrder())
	got := expect[events.ProcessBlocked](b)
	if got.Actor != actor || !slices.Equal(got.Waits, []string{"redis", "web"}) || got.Reason != "waits for redis (not there), web (not there)" {
		t.Errorf("blocked: %+v", got)
	}
	b.takeUp("redis", zinittest.Child(t, "say", "x"))
	if got := expect[events.ProcessBlocked](b); got.Reason != "waits for web (not there)" {
		t.Errorf("blocked: %+v", got)
	}
	b.takeUp("web", zinittest.Child(t, "say", "x"))
	if got := expect[events.ProcessStarted](b, events.ProcessBlocked{}); !got.Incarnation.Alive() {
		t.Errorf("started: %+v", got)
	}
	b.quiet()
}

// Who waits for itself, by way of services that are not ours, is told so by name.
func TestExecutorNamesACircle(t *testing.T) {
	b := newExecutorBed(t, after("apart", "front"))
	apart, front, back := zinittest.Child(t, "say", "x"), zinittest.Child(t, "say", "x"), zinittest.Child(t, "say", "x")
	apart.After, front.After, back.After = []string{"nobody"}, []string{"apart", "back"}, []string{prefix + actor}
	b.takeUp("apart", apart)
	b.takeUp("front", front)
	b.takeUp("back", back)
	b.order(b.startOrder())
	want := "waits for apart (Blocked), front (Blocked): a circle, " + strings.Join([]string{prefix + actor, "front", "back", prefix + actor}, " after ")
	if got := expect[events.ProcessBlocked](b); got.Reason != want {
		t.Errorf("blocked: %q, want %q", got.Reason, want)
	}
}

// A dependency that ended badly holds it back as well, and a stop ends the wait.
func TestExecutorTellsOfAFailedDependency(t *testing.T) {
	b := newExecutorBed(t, after("setup"))
	failing := zinittest.Child(t, "exit", "3")
	failing.Oneshot = true
	b.takeUp("setup", failing)
	zinittest.Eventually(t, "setup has failed", func() error {
		st, err := b.client.Status(t.Context(), "setup")
		if err == nil && st.State.Kind != zinit.Exited {
			err = zinit.ServiceIsUp
		}
		return err
	})
	b.order(b.startOrder())
	if got := expect[events.ProcessBlocked](b); !strings.HasPrefix(got.Reason, "waits for setup (Error(Exited(Pid(") {
		t.Errorf("blocked: %+v", got)
	}
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	if got := expect[events.ProcessObserved](b); got.WantedUp {
		t.Errorf("observed: %+v", got)
	}
	b.gone()
	b.quiet()
}

// Somebody else's stop of a service that waits is no wait for ever.
func TestExecutorTellsOfAWaitThatCameToNothing(t *testing.T) {
	b := newExecutorBed(t, after("redis"))
	b.order(b.startOrder())
	_ = expect[events.ProcessBlocked](b)
	if err := b.client.Stop(t.Context(), prefix+actor); err != nil {
		t.Fatal(err)
	}
	if got := expect[events.ProcessStartFailed](b); !strings.Contains(got.Reason, "stopped") {
		t.Errorf("failed: %+v", got)
	}
}

// What comes up and can not be kept is told as any start that failed.
func TestExecutorTellsOfABlockedStartThatFails(t *testing.T) {
	b := newExecutorBed(t, after("redis"), func(c *zinit.ExecutorConfig) {
		p := c.Pools[pool]
		p.Dir = filepath.Join(t.TempDir(), "none")
		c.Pools[pool] = p
	})
	b.order(b.startOrder())
	_ = expect[events.ProcessBlocked](b)
	b.takeUp("redis", zinittest.Child(t, "say", "x"))
	if got := expect[events.ProcessStartFailed](b); !strings.Contains(got.Reason, "Failure") {
		t.Errorf("failed: %+v", got)
	}
}

// The next executor tells it anew.
func TestExecutorFindsWhatWaits(t *testing.T) {
	b := newExecutorBed(t, after("redis"))
	b.order(b.startOrder())
	_ = expect[events.ProcessBlocked](b)
	b.stop()
	b.execute(after("redis"))
	if got := expect[events.ProcessBlocked](b, events.ProcessObserved{}); got.Reason != "waits for redis (not there)" {
		t.Errorf("blocked: %+v", got)
	}
	b.takeUp("redis", zinittest.Child(t, "say", "x"))
	_ = expect[events.ProcessStarted](b)
}
