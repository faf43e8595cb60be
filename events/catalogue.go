package events

import (
	"fmt"
	"reflect"
	"strings"
)

// catalogue declares every message once: its type, branch, entity and verb. The
// subject tokens behind the verb are the type's fields tagged `subject`.
var catalogue = []*Kind{
	declare[JobQueued](Fact, "job", "queued"),
	declare[JobWaiting](Fact, "job", "waiting"),
	declare[JobAdopted](Fact, "job", "adopted"),
	declare[JobStarted](Fact, "job", "started"),
	declare[JobEnded](Fact, "job", "ended"),
	declare[JobRetried](Fact, "job", "retried"),
	declare[JobDead](Fact, "job", "dead"),
	declare[JobCancelled](Fact, "job", "cancelled"),
	declare[JobRemoved](Fact, "job", "removed"),
	declare[JobOverran](Fact, "job", "overran"),
	declare[JobStale](Fact, "job", "stale"),
	declare[ActorRegistered](Fact, "actor", "registered"),
	declare[ActorStateChanged](Fact, "actor", "changed"),
	declare[ActorPinged](Fact, "actor", "pinged"),
	declare[ActorPonged](Fact, "actor", "ponged"),
	declare[ActorDrained](Fact, "actor", "drained"),
	declare[ActorOrphaned](Fact, "actor", "orphaned"),
	declare[ActorUnresponsive](Fact, "actor", "unresponsive"),
	declare[ActorQuarantined](Fact, "actor", "quarantined"),
	declare[ActorStalled](Fact, "actor", "stalled"),
	declare[ProcessStarted](Fact, "process", "started"),
	declare[ProcessReady](Fact, "process", "ready"),
	declare[ProcessExited](Fact, "process", "exited"),
	declare[ProcessObserved](Fact, "process", "observed"),
	declare[ProcessBlocked](Fact, "process", "blocked"),
	declare[ProcessStartFailed](Fact, "process", "failed"),
	declare[PoolDecided](Fact, "pool", "decided"),
	declare[PoolScaled](Fact, "pool", "scaled"),
	declare[PoolPaused](Fact, "pool", "paused"),
	declare[PoolResumed](Fact, "pool", "resumed"),
	declare[PoolDegraded](Fact, "pool", "degraded"),
	declare[PoolBlocked](Fact, "pool", "blocked"),
	declare[PoolUnblocked](Fact, "pool", "unblocked"),
	declare[QueueMeasured](Fact, "queue", "measured"),
	declare[QueueUnserved](Fact, "queue", "unserved"),
	declare[ScheduleAdded](Fact, "schedule", "added"),
	declare[ScheduleRemoved](Fact, "schedule", "removed"),
	declare[SchedulePaused](Fact, "schedule", "paused"),
	declare[ScheduleResumed](Fact, "schedule", "resumed"),
	declare[ScheduleFired](Fact, "schedule", "fired"),
	declare[ScheduleMissed](Fact, "schedule", "missed"),
	declare[SystemStarted](Fact, "system", "started"),
	declare[SystemStopping](Fact, "system", "stopping"),
	declare[Resynchronised](Fact, "system", "resynchronised"),
	declare[FactsLost](Fact, "system", "factslost"),
	declare[RedisLost](Fact, "system", "redislost"),
	declare[RedisBack](Fact, "system", "redisback"),
	declare[RedisRefilled](Fact, "system", "redisrefilled"),
	declare[RedisChecked](Fact, "system", "redischecked"),
	declare[ZinitLost](Fact, "system", "zinitlost"),
	declare[ZinitBack](Fact, "system", "zinitback"),
	declare[LogLost](Fact, "system", "loglost"),
	declare[LogBack](Fact, "system", "logback"),
	declare[CommandRejected](Fact, "system", "rejected"),

	raw(declare[JobSubmit](Command, "job", "submit")),
	raw(declare[JobRun](Command, "job", "run")),
	declare[JobAwait](Command, "job", "await"),
	// The others are those of Hero's own records (research/hero.md 3.1) that say nothing to us.
	strict(declare[JobCreate](Command, "job", "create"),
		"worker_id", "actor_id", "concurrent", "log_path", "created_at", "updated_at", "status", "dependents", "output", "error"),
	declare[JobBatch](Command, "job", "batch"),
	declare[JobCancel](Command, "job", "cancel"),
	declare[JobRetry](Command, "job", "retry"),
	declare[JobRemove](Command, "job", "remove"),
	declare[JobPurge](Command, "job", "purge"),
	declare[JobList](Command, "job", "list"),
	declare[JobShow](Command, "job", "show"),
	declare[JobExplain](Command, "job", "explain"),
	declare[ActorStart](Command, "actor", "start"),
	declare[ActorStop](Command, "actor", "stop"),
	declare[ActorRestart](Command, "actor", "restart"),
	declare[ActorPing](Command, "actor", "ping"),
	declare[ActorReset](Command, "actor", "reset"),
	declare[ActorList](Command, "actor", "list"),
	declare[PoolScale](Command, "pool", "scale"),
	declare[PoolPause](Command, "pool", "pause"),
	declare[PoolResume](Command, "pool", "resume"),
	declare[PoolList](Command, "pool", "list"),
	declare[ScheduleAdd](Command, "schedule", "add"),
	declare[ScheduleRemove](Command, "schedule", "remove"),
	declare[SchedulePause](Command, "schedule", "pause"),
	declare[ScheduleResume](Command, "schedule", "resume"),
	declare[ScheduleList](Command, "schedule", "list"),
	declare[SystemStatus](Command, "system", "status"),
	declare[SystemShutdown](Command, "system", "shutdown"),

	declare[StartProcess](Order, "process", "start"),
	declare[StopProcess](Order, "process", "stop"),
	declare[KillProcess](Order, "process", "kill"),
	declare[RestartProcess](Order, "process", "restart"),
	declare[ObserveProcesses](Order, "process", "observe"),
	declare[CloseIntake](Order, "intake", "close"),
	declare[OpenIntake](Order, "intake", "open"),
	declare[PingIntake](Order, "intake", "ping"),
	declare[AskScriptGroups](Order, "script", "group"),
}

// Catalogue lists every kind of message, facts first, in a fixed order.
func Catalogue() []*Kind { return append([]*Kind(nil), catalogue...) }

var (
	kindByType = index(func(k *Kind) any { return k.typ })
	kindByName = index(func(k *Kind) any { return string(k.Branch) + "." + k.Entity + "." + k.Verb })
)

func index(key func(*Kind) any) map[any]*Kind {
	m := make(map[any]*Kind, len(catalogue))
	for _, k := range catalogue {
		if _, twice := m[key(k)]; twice {
			panic(fmt.Sprintf("events: %v is declared twice", key(k)))
		}
		m[key(k)] = k
	}
	return m
}

// KindOf returns the catalogue entry of e.
func KindOf(e Event) *Kind { return kindByType[reflect.TypeOf(e)] }

// kindOfSubject finds the entry of a full subject and its tokens.
func kindOfSubject(prefix, subject string) (*Kind, []string, error) {
	rest, ok := strings.CutPrefix(subject, prefix+".")
	if !ok {
		return nil, nil, fmt.Errorf("subject %q is not below %q", subject, prefix)
	}
	t := strings.Split(rest, ".")
	if len(t) < 3 {
		return nil, nil, fmt.Errorf("subject %q names no message: want %s.<evt|cmd>.<entity>.<verb>", subject, prefix)
	}
	k := kindByName[strings.Join(t[:3], ".")]
	if k == nil {
		return nil, nil, fmt.Errorf("subject %q names no message that Herosup knows", subject)
	}
	if got := t[3:]; len(got) != len(k.Tokens) {
		return nil, nil, fmt.Errorf("subject %q has %d tokens behind %s.%s, want %d (%s)",
			subject, len(got), k.Entity, k.Verb, len(k.Tokens), strings.Join(k.Tokens, ", "))
	}
	return k, t[3:], nil
}

func (JobQueued) isEvent()          {}
func (JobWaiting) isEvent()         {}
func (JobAdopted) isEvent()         {}
func (JobStarted) isEvent()         {}
func (JobEnded) isEvent()           {}
func (JobRetried) isEvent()         {}
func (JobDead) isEvent()            {}
func (JobCancelled) isEvent()       {}
func (JobRemoved) isEvent()         {}
func (JobOverran) isEvent()         {}
func (JobStale) isEvent()           {}
func (ActorRegistered) isEvent()    {}
func (ActorStateChanged) isEvent()  {}
func (ActorPinged) isEvent()        {}
func (ActorPonged) isEvent()        {}
func (ActorDrained) isEvent()       {}
func (ActorOrphaned) isEvent()      {}
func (ActorUnresponsive) isEvent()  {}
func (ActorQuarantined) isEvent()   {}
func (ActorStalled) isEvent()       {}
func (ProcessStarted) isEvent()     {}
func (ProcessReady) isEvent()       {}
func (ProcessExited) isEvent()      {}
func (ProcessObserved) isEvent()    {}
func (ProcessBlocked) isEvent()     {}
func (ProcessStartFailed) isEvent() {}
func (PoolDecided) isEvent()        {}
func (PoolScaled) isEvent()         {}
func (PoolPaused) isEvent()         {}
func (PoolResumed) isEvent()        {}
func (PoolDegraded) isEvent()       {}
func (PoolBlocked) isEvent()        {}
func (PoolUnblocked) isEvent()      {}
func (QueueMeasured) isEvent()      {}
func (QueueUnserved) isEvent()      {}
func (ScheduleAdded) isEvent()      {}
func (ScheduleRemoved) isEvent()    {}
func (SchedulePaused) isEvent()     {}
func (ScheduleResumed) isEvent()    {}
func (ScheduleFired) isEvent()      {}
func (ScheduleMissed) isEvent()     {}
func (SystemStarted) isEvent()      {}
func (SystemStopping) isEvent()     {}
func (Resynchronised) isEvent()     {}
func (FactsLost) isEvent()          {}
func (RedisLost) isEvent()          {}
func (RedisBack) isEvent()          {}
func (RedisRefilled) isEvent()      {}
func (RedisChecked) isEvent()       {}
func (ZinitLost) isEvent()          {}
func (LogLost) isEvent()            {}
func (LogBack) isEvent()            {}
func (ZinitBack) isEvent()          {}
func (CommandRejected) isEvent()    {}

func (JobSubmit) isEvent()      {}
func (JobRun) isEvent()         {}
func (JobAwait) isEvent()       {}
func (JobCreate) isEvent()      {}
func (JobBatch) isEvent()       {}
func (JobCancel) isEvent()      {}
func (JobRetry) isEvent()       {}
func (JobRemove) isEvent()      {}
func (JobPurge) isEvent()       {}
func (JobList) isEvent()        {}
func (JobShow) isEvent()        {}
func (JobExplain) isEvent()     {}
func (ActorStart) isEvent()     {}
func (ActorStop) isEvent()      {}
func (ActorRestart) isEvent()   {}
func (ActorPing) isEvent()      {}
func (ActorReset) isEvent()     {}
func (ActorList) isEvent()      {}
func (PoolScale) isEvent()      {}
func (PoolPause) isEvent()      {}
func (PoolResume) isEvent()     {}
func (PoolList) isEvent()       {}
func (ScheduleAdd) isEvent()    {}
func (ScheduleRemove) isEvent() {}
func (SchedulePause) isEvent()  {}
func (ScheduleResume) isEvent() {}
func (ScheduleList) isEvent()   {}
func (SystemStatus) isEvent()   {}
func (SystemShutdown) isEvent() {}

func (StartProcess) isEvent()     {}
func (StopProcess) isEvent()      {}
func (KillProcess) isEvent()      {}
func (RestartProcess) isEvent()   {}
func (ObserveProcesses) isEvent() {}
func (CloseIntake) isEvent()      {}
func (OpenIntake) isEvent()       {}
func (PingIntake) isEvent()       {}
func (AskScriptGroups) isEvent()  {}
