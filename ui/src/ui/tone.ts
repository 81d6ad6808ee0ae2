// What a colour says. `bad` is for what needs a person.

export type Tone = "good" | "busy" | "bad" | "calm";
