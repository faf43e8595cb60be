package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams and the key-value bucket.
const (
	// JobsStream is the log behind Redis: accepted submissions until they end.
	JobsStream = "HERO_JOBS"
	// EventsStream is the history of facts.
	EventsStream = "HERO_EVENTS"
	// StateBucket holds the epoch of Redis and what else must outlive it.
	StateBucket = "HERO_STATE"
	// DeadBucket holds the full records of dead jobs, by id.
	DeadBucket = "HERO_DEAD"
	// SchedulesBucket holds the schedules and how far each has come.
	SchedulesBucket = "HERO_SCHEDULES"
)

const (
	// MaxScript is the largest script in bytes.
	MaxScript = 1 << 20
	// maxSubmission leaves room for the options beside the script.
	maxSubmission = MaxScript + 128<<10
	// maxDefinition is a schedule with its script as JSON, which may write one byte
	// as six.
	maxDefinition = 7 << 20
	historyAge    = 7 * 24 * time.Hour
	historyBytes  = 256 << 20
)

const (
	// errNoStore is JetStream's code for a stream whose folder it could not make.
	errNoStore = 10049
	// removalTime bounds the wait for the folder of a stream that was deleted: the server answers before it is gone.
	removalTime = time.Second
)

// EnsureStreams makes the streams and the buckets on the embedded server, or brings their
// settings up to date. The context must have a deadline: a server with a full disk gives
// no answer at all.
//
// What the history takes goes to the disk in one write for all of some milliseconds,
// nats-server's persist mode async: a fact is published without waiting for its place in it as
// it is, and one write for each cost the daemon a seventh of its time. A daemon that is killed
// loses the last of its history with that, and nothing else: the log of jobs is written at once.
func EnsureStreams(ctx context.Context, b *Bus) error {
	if err := salvage(ctx, b); err != nil {
		return err
	}
	return ensureStreams(ctx, b, 0, jetstream.AsyncPersistMode)
}

// salvage finds the jobs of a log that the server does not know any more, because the file that describes it can not be
// read: made anew over its folder, the stream has them. But with a first sequence all below that is thrown away, so it is made
// without one, and without its subjects, that nothing comes before it is known to be empty and begins at the clock. A start that is
// killed in between is gone on with by the next.
func salvage(ctx context.Context, b *Bus) error {
	js, err := jetstream.New(b.nc)
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	log := jobsLog(b.prefix)
	first := log.FirstSeq
	log.FirstSeq, log.Subjects = 0, []string{b.prefix + ".log.none"}
	s, err := js.Stream(ctx, JobsStream)
	if err == nil && s.CachedInfo().State.LastSeq == 0 {
		if err = dropEmpty(ctx, js, b, log); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("stream %s: %w", JobsStream, err)
		}
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // what else may be wrong is said when it is made
	}
	soon, cancel := context.WithTimeout(ctx, removalTime)
	defer cancel()
	for {
		s, err = js.CreateStream(ctx, log)
		if e, ok := errors.AsType[*jetstream.APIError](err); !ok || e.ErrorCode != errNoStore || soon.Err() != nil {
			break
		}
		select { // the server is removing the folder of the one that was dropped
		case <-time.After(removalTime / 100):
		case <-soon.Done():
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", JobsStream, err)
	}
	if state := s.CachedInfo().State; state.LastSeq > 0 {
		b.log.Warn("bus", "reason", "the log of jobs could not be read as it was and is made anew, with what there is", "depth", state.Msgs)
		return nil
	}
	// An empty stream gets its first sequence so.
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(first)); err != nil {
		return fmt.Errorf("stream %s: %w", JobsStream, err)
	}
	return nil
}

// dropEmpty takes a log away that never had anything, and says so by ErrStreamNotFound: a start was killed while it made it, or a power
// cut came before the only block it had was on the disk. That one would begin at 1, with numbers far below what Redis has had. At first it
// takes nothing more, or what came meanwhile would go with it.
func dropEmpty(ctx context.Context, js jetstream.JetStream, b *Bus, closed jetstream.StreamConfig) error {
	s, err := js.UpdateStream(ctx, closed)
	if err != nil || s.CachedInfo().State.LastSeq > 0 {
		return err
	}
	if err := js.DeleteStream(ctx, JobsStream); err != nil {
		return err
	}
	b.log.Warn("bus", "reason", "the log of jobs holds nothing, not even where it began: it begins anew")
	return jetstream.ErrStreamNotFound
}

// jobsLog is the stream of accepted jobs.
func jobsLog(prefix string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: JobsStream, Description: "accepted jobs until they have ended",
		Subjects: []string{prefix + ".cmd.job.submit.*"},
		// Limits, not a work queue: retention can not be changed later, and each
		// daemon reads from its own position.
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxMsgSize: maxSubmission, Duplicates: 2 * time.Minute, AllowDirect: true,
		// A submitter's headers must not be able to make other people's jobs
		// vanish: no per-message TTL, no rollup, no schedules.
		AllowMsgTTL: false, AllowRollup: false,
		// What job.batch brings is written by fast batches, acknowledged as one.
		AllowBatchPublish: true,
		// Ids of plain publishes are <stream>-<sequence>; starting from the
		// clock, those of a lost state folder do not come again.
		FirstSeq: uint64(time.Now().UnixMilli()),
	}
}

// EnsureReplicas is EnsureStreams on a server of one's own, with so many replicas of each;
// 0 leaves what is there, and makes one. Streams that are written late can not be replicated later, so none is here.
func EnsureReplicas(ctx context.Context, b *Bus, replicas int) error {
	return ensureStreams(ctx, b, replicas, jetstream.DefaultPersistMode)
}

func ensureStreams(ctx context.Context, b *Bus, replicas int, history jetstream.PersistModeType) error {
	js, err := jetstream.New(b.nc)
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	log := jobsLog(b.prefix)
	log.Replicas = replicas
	if err := ensureStream(ctx, js, log); err != nil {
		return err
	}
	if err := ensureStream(ctx, js, jetstream.StreamConfig{
		Name: EventsStream, Description: "history of facts",
		Subjects:  []string{b.prefix + ".evt.>"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxAge: historyAge, MaxBytes: historyBytes, AllowDirect: true, Replicas: replicas,
		PersistMode: history,
	}); err != nil {
		return err
	}
	for _, want := range []jetstream.KeyValueConfig{
		{Bucket: StateBucket, Description: "epoch of Redis", History: 4},
		{Bucket: DeadBucket, Description: "dead jobs", History: 1},
		{Bucket: SchedulesBucket, Description: "schedules and how far they have come", History: 1, MaxValueSize: maxDefinition},
	} {
		want.Storage, want.Replicas = jetstream.FileStorage, replicas
		if err := ensureBucket(ctx, js, want); err != nil {
			return err
		}
	}
	return nil
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, want jetstream.KeyValueConfig) error {
	if want.Replicas == 0 {
		if have, err := js.Stream(ctx, "KV_"+want.Bucket); err == nil {
			want.Replicas = have.CachedInfo().Config.Replicas
		}
	}
	if _, err := js.CreateOrUpdateKeyValue(ctx, want); err != nil {
		return fmt.Errorf("bucket %s: %w", want.Bucket, err)
	}
	return nil
}

func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	have, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		_, err = js.CreateStream(ctx, want)
	case err == nil:
		is := have.CachedInfo().Config
		want.FirstSeq, want.PersistMode = is.FirstSeq, is.PersistMode // fixed at creation
		if want.Replicas == 0 {
			want.Replicas = is.Replicas
		}
		_, err = js.UpdateStream(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	return nil
}
