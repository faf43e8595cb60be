package main

// measures are all of them, in the order of the README.
func measures() []measure {
	return []measure{backlogMeasure(), endToEndMeasure(), submitMeasure(), latencyMeasure(), killsMeasure(), roundsMeasure(), millionMeasure(), endedMeasure(), delayedMeasure()}
}
