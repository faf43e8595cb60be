package actor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"herosup/dispatch/runner"
	"herosup/events"
)

// ScriptConfig says how scripts are run.
type ScriptConfig struct {
	// Interpreter is the command that runs a script (runner.Find has the usual ones): see runner.Spec.
	Interpreter []string
	// Dir is the scripts' working directory; "" is this process's.
	Dir string
	// Env is the pool's part of the environment; a job's own variables win over it.
	Env map[string]string
	// Grace is the time from TERM to KILL; 0 is runner.DefaultGrace.
	Grace time.Duration
	// OutputLimit in bytes; 0 is runner.DefaultOutput.
	OutputLimit int
	// Log gets the whole of an output that is over it (runner.Spec.Log), each line behind the job's id; nil: none does.
	Log *os.File
}

// ScriptHandler gives each job's script to an interpreter, in a recorded process group. The environment is the
// runner's base, the pool's, the job's, and CALLER_ID, CONTEXT_ID, HERO_JOB_ID and HERO_ATTEMPT, which nobody can
// override. The error is an interpreter that is not there: better seen at the start than by each job. One that goes later is no job's
// failure: see ReasonUnable.
func ScriptHandler(cfg ScriptConfig) (Handler, error) {
	if len(cfg.Interpreter) == 0 {
		return nil, errors.New("run scripts: no interpreter is named")
	}
	program, err := exec.LookPath(cfg.Interpreter[0])
	if err == nil {
		err = runner.Whole(os.Getenv("PATH"), program)
	}
	if err != nil {
		return nil, fmt.Errorf("run scripts: %w; install it, or name its full path as the pool's interpreter", err)
	}
	return func(ctx context.Context, job Job) Outcome {
		res := runner.Run(ctx, runner.Spec{
			Interpreter: cfg.Interpreter, Script: job.Script, Env: scriptEnv(cfg.Env, job), Dir: cfg.Dir,
			Constants: map[string]string{"CALLER_ID": job.CallerID, "CONTEXT_ID": job.ContextID}, // research/hero.md 3.3
			Grace:     cfg.Grace, OutputLimit: cfg.OutputLimit,                                   // the time is the context's
			Log: cfg.Log, LogPrefix: job.ID + "| ",
			Record: func(pgid int, leader events.Incarnation) error { return job.RecordGroup(ctx, pgid, leader) },
		})
		return scriptOutcome(res, job.Timeout)
	}, nil
}

func scriptEnv(pool map[string]string, job Job) map[string]string {
	env := make(map[string]string, len(pool)+len(job.Env)+4)
	maps.Copy(env, pool)
	maps.Copy(env, job.Env)
	env["CALLER_ID"], env["CONTEXT_ID"] = job.CallerID, job.ContextID
	env["HERO_JOB_ID"], env["HERO_ATTEMPT"] = job.ID, strconv.Itoa(job.Attempt)
	return env
}

// scriptOutcome says in a job's words what became of a run. Error is what the script wrote to its standard error,
// after a sentence of ours where that would not tell.
func scriptOutcome(res runner.Result, timeout time.Duration) Outcome {
	out := Outcome{Output: res.Output}
	if res.Ran && res.Signal == "" {
		out.ExitCode = strconv.Itoa(res.ExitCode)
	}
	if res.Finished() {
		return out
	}
	out.Failed = true
	var sentence string
	switch {
	case res.TimedOut && !res.Ran:
		out.Reason, sentence = ReasonTimeout, fmt.Sprintf("timed out after %v, before the script could begin", timeout)
	case res.TimedOut:
		out.Reason, sentence = ReasonTimeout, fmt.Sprintf("timed out after %v", timeout)
	case errors.Is(res.Err, ErrCancelled):
		out.Reason, sentence = ReasonCancelled, ErrCancelled.Error()
	case errors.Is(res.Err, runner.ErrNoInterpreter):
		out.Reason, sentence = ReasonUnable, res.Err.Error()
	case !res.Ran:
		out.Reason, sentence = ReasonNotStarted, res.Err.Error()
	case res.Err != nil:
		out.Reason, sentence = ReasonStopped, res.Err.Error()
	case res.Signal != "":
		out.Reason, sentence = "signal "+res.Signal, "the interpreter was ended by "+res.Signal
	default:
		out.Reason = "exit " + out.ExitCode
		if strings.TrimSpace(res.ErrorText) == "" {
			sentence = "exit status " + out.ExitCode
		}
	}
	out.Error = strings.TrimPrefix(sentence+"\n"+res.ErrorText, "\n")
	if res.ErrorText == "" {
		out.Error = sentence
	}
	return out
}
