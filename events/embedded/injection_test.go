package embedded

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// The two injections of research/nats.md, 0.1: with roles as subject lists in
// one account both deliver a command with the server's rights.

// A submitter names a command as the reply subject of a submission, so that the
// stream's acknowledgement arrives there.
func TestReplySubjectCanNotNameACommand(t *testing.T) {
	s := start(t, Config{})
	sys := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), sys); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Role{Submitter, Operator} {
		commands, err := sys.Conn().SubscribeSync("hero.cmd.pool.>")
		if err != nil {
			t.Fatal(err)
		}
		orders, err := sys.Conn().SubscribeSync("hero.int.>")
		if err != nil {
			t.Fatal(err)
		}
		if err := sys.Flush(ctx5(t)); err != nil {
			t.Fatal(err)
		}
		nc := role(t, s, r)
		for _, reply := range []string{"hero.cmd.pool.scale.bash", "hero.int.process.kill.local.bash_1"} {
			if err := nc.PublishRequest("hero.cmd.job.submit.bash", reply, []byte("true")); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.FlushWithContext(ctx5(t)); err != nil {
			t.Fatal(err)
		}
		nothing(t, commands, string(r)+": a command")
		nothing(t, orders, string(r)+": an order")
	}
}

// A reader makes a push consumer whose delivery subject is a command.
func TestReaderCanNotAimAConsumerAtACommand(t *testing.T) {
	s := start(t, Config{})
	sys := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), sys); err != nil {
		t.Fatal(err)
	}
	commands, err := sys.Conn().SubscribeSync("hero.cmd.pool.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Role{Observer, Operator} {
		nc := role(t, s, r)
		short, cancel := context.WithTimeout(ctx5(t), 200*time.Millisecond)
		_, err := nc.RequestWithContext(short, "$JS.API.CONSUMER.CREATE.HERO_EVENTS.x",
			[]byte(`{"stream_name":"HERO_EVENTS","config":{"name":"x","deliver_subject":"hero.cmd.pool.scale.bash","deliver_policy":"all"}}`))
		cancel()
		if err == nil {
			t.Errorf("%s: the JetStream API answered", r)
		}
	}
	if err := sys.Publish(events.RedisBack{}); err != nil {
		t.Fatal(err)
	}
	nothing(t, commands, "a fact came as a command")
}

func nothing(t *testing.T, sub *nats.Subscription, what string) {
	t.Helper()
	short, cancel := context.WithTimeout(ctx5(t), 100*time.Millisecond)
	defer cancel()
	if m, err := sub.NextMsgWithContext(short); err == nil {
		t.Errorf("%s arrived on %s: %s", what, m.Subject, m.Data)
	}
}
