package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herosup/events"
)

// batch sends jobs as one request and reads the answer.
func (b *bed) batch(jobs ...events.JobCreate) BatchAnswer {
	b.Helper()
	var a BatchAnswer
	if err := b.bus.Request(b.soon(), events.JobBatch{Jobs: jobs}, &a); err != nil {
		b.Fatal(err)
	}
	return a
}

// scripts are the messages of the log, in its order.
func (b *bed) scripts() []string {
	b.Helper()
	s, err := b.js.Stream(b.soon(), events.JobsStream)
	if err != nil {
		b.Fatal(err)
	}
	var out []string
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(b.soon(), seq)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, string(m.Data))
	}
	return out
}

func job(id, script string) events.JobCreate {
	return events.JobCreate{ID: id, ScriptType: "bash", Script: script}
}

// What is well formed gets into the log, in its order, beside what is not.
func TestBatch(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	b.up()
	a := b.batch(job("one", "1"), job("a.b", "bad id"), job("", "2"), job("empty", " "), job("three", "3"))
	if a.Accepted != 3 || len(a.Refused) != 2 || a.Refused[0].Index != 1 || a.Refused[0].Code != "bad_id" ||
		a.Refused[1].Index != 3 || a.Refused[1].Code != "empty_script" || a.Refused[1].Hint == "" {
		t.Errorf("answer %+v", a)
	}
	if len(a.Jobs) != 5 || a.Jobs[0] != "one" || len(a.Jobs[2]) != 26 || a.Jobs[4] != "three" {
		t.Errorf("ids %q", a.Jobs)
	}
	if got := strings.Join(b.scripts(), ""); got != "123" {
		t.Errorf("the log has %q", got)
	}
	b.eventually("all queued", func() bool { return count(b, func(events.JobQueued) bool { return true }) == 3 })
	b.eventually("both refusals told", func() bool {
		return count(b, func(e events.CommandRejected) bool { return e.Command == "job-batch" }) == 2
	})
	// One alone, and the same job once more: accepted, and no second job.
	for range 2 {
		if a := b.batch(job("four", "4")); a.Accepted != 1 || a.Jobs != nil || a.Refused != nil {
			t.Errorf("answer %+v", a)
		}
	}
	b.eventually("the second message left the log", func() bool { return b.logged() == 4 })
}

// A member that job.create is refused for is refused here for its job alone, with the same words.
func TestBatchWithAMisspeltMember(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	b.up()
	bad := `{"id":"bad","script_type":"bash","script":"2","retrys":3}`
	_, alone := b.ask("hero.cmd.job.create", nil, bad)
	if alone == nil {
		t.Fatal("job.create takes it")
	}
	body := `{"more":1,"Jobs":[{"script_type":"bash","script":"1","worker_id":"w"},` + bad + `,{"script_type":"bash","script":"3"}]}`
	m, refused := b.ask("hero.cmd.job.batch", nil, body)
	if refused != nil {
		t.Fatal(refused)
	}
	var a BatchAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		t.Fatal(err)
	}
	if a.Accepted != 2 || len(a.Refused) != 1 {
		t.Fatalf("%+v", a)
	}
	alone.Job = "bad" // which a batch has read
	if d := cmp.Diff(BatchRefusal{Index: 1, Refusal: *alone}, a.Refused[0]); d != "" {
		t.Error(d)
	}
	if got := strings.Join(b.scripts(), ""); got != "13" {
		t.Errorf("the log has %q", got)
	}
}

// Batches that were sent one after another without waiting lie so in the log.
func TestBatchesKeepTheirOrder(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	const batches, size = 2 * batchesInHand, 20
	inbox, err := b.bus.Conn().SubscribeSync(b.bus.Conn().NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		var e events.JobBatch
		for k := range size {
			e.Jobs = append(e.Jobs, job("", fmt.Sprintf("%04d", i*size+k)))
		}
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.bus.Conn().PublishRequest("hero.cmd.job.batch", inbox.Subject, body); err != nil {
			t.Fatal(err)
		}
	}
	for range batches {
		m, err := inbox.NextMsgWithContext(b.soon())
		if err != nil {
			t.Fatal(err)
		}
		if r := events.RefusalOf(m); r != nil {
			t.Fatal(r)
		}
	}
	got := b.scripts()
	if len(got) != batches*size {
		t.Fatalf("the log has %d", len(got))
	}
	for i, s := range got {
		if s != fmt.Sprintf("%04d", i) {
			t.Fatalf("place %d has %s", i, s)
		}
	}
}

// A log that is full takes the first jobs of a batch; the others are refused by
// name, and what is said to be accepted is what is there.
func TestBatchIntoAFullLog(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	s, err := b.js.Stream(b.soon(), events.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 5
	if _, err := b.js.UpdateStream(b.soon(), cfg); err != nil {
		t.Fatal(err)
	}
	var jobs []events.JobCreate
	for i := range 8 {
		jobs = append(jobs, job(fmt.Sprintf("job-%d", i), fmt.Sprint(i)))
	}
	a := b.batch(jobs...)
	if a.Accepted != 5 || len(a.Refused) != 3 || a.Refused[0].Index != 5 || a.Refused[0].Job != "job-5" ||
		a.Refused[0].Status != 503 || !strings.Contains(a.Refused[0].Reason, "maximum messages exceeded") {
		t.Errorf("answer %+v", a)
	}
	if got := strings.Join(b.scripts(), ""); got != "01234" {
		t.Errorf("the log has %q", got)
	}
	// The first of a batch is another case in the server.
	if a = b.batch(jobs[5:]...); a.Accepted != 0 || len(a.Refused) != 3 || !strings.Contains(a.Refused[2].Reason, "maximum messages exceeded") {
		t.Errorf("answer %+v", a)
	}
	if a = b.batch(jobs[5]); a.Accepted != 0 || len(a.Refused) != 1 {
		t.Errorf("one alone: %+v", a)
	}
}

func TestBatchOfTooMany(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	for _, n := range []int{0, events.MaxBatch + 1} {
		var r *events.Refusal
		err := b.bus.Request(b.soon(), events.JobBatch{Jobs: make([]events.JobCreate, n)}, nil)
		if !errors.As(err, &r) || r.Code != "bad_batch" || r.Hint == "" {
			t.Errorf("%d jobs: %v", n, err)
		}
	}
	if a := b.batch(make([]events.JobCreate, events.MaxBatch)...); a.Accepted != 0 || len(a.Refused) != events.MaxBatch {
		t.Errorf("%d accepted, %d refused", a.Accepted, len(a.Refused))
	}
	if b.logged() != 0 {
		t.Error("the log has something")
	}
}

// The stream gone: nobody knows, and the sender is told so.
func TestBatchWithoutALog(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	if err := b.js.DeleteStream(b.soon(), events.JobsStream); err != nil {
		t.Fatal(err)
	}
	var r *events.Refusal
	err := b.bus.Request(b.soon(), events.JobBatch{Jobs: []events.JobCreate{job("x", "1")}}, nil)
	if !errors.As(err, &r) || r.Code != "not_confirmed" || r.Status != 503 {
		t.Errorf("%v", err)
	}
}
