// The names that the console gives to shapes of the API, which are generated (`npm run generate`), and the little that the documents
// leave open. Times are milliseconds since 1970, CPU and GPU amounts thousandths, memory and disk bytes.

import type { Schemas } from "./schema";
import type { Schemas as Marathon } from "./schema-marathon";

export type Totals = Schemas["Totals"];
export type Cluster = Schemas["Cluster"];
export type Node = Schemas["Node"];
export type NodeDetail = Schemas["NodeDetail"];
/** A part of a machine: how much, and who has it. */
export type Portion = Schemas["Portion"];
export type Reservation = Schemas["NodeReservation"];
export type NodeVolume = Schemas["NodeVolume"];
export type NodeState = Node["state"];
export type Service = Schemas["Service"];
export type Health = Service["health"];
/** A restart loop. */
export type Failing = Schemas["Failing"];
export type Deployment = Schemas["Deployment"];
export type Task = Schemas["Task"];
/** How a process ended. */
export type Exit = Schemas["Exit"];
/** What a health check last said. */
export type HealthResult = Schemas["HealthResult"];
/** A bound per kind of resource; null or absent: not bounded. */
export type Bound = Schemas["Bound"];
export type Role = Schemas["RoleStatus"];
export type RoleSettings = Schemas["RoleSettings"];
export type Image = Schemas["ImageOnNode"];
export type Explanation = Schemas["Explained"];
export type DrainedTask = Schemas["DrainedTask"];
export type Framework = Schemas["FrameworkSummary"];
export type FrameworkDetail = Schemas["FrameworkDetail"];
export type FrameworkExplanation = Schemas["FrameworkExplanation"];

type StreamEvent = Schemas["StreamEvent"];

/** Frames of /hansa/v1/events by the name of their event. */
export type StreamEvents = { [E in StreamEvent as E["event"]]: E["data"] };
export type StreamName = StreamEvent["event"];

/** What the first page shows of a deployment under way. */
export type Progress = StreamEvents["deployment"];
export type DeploymentState = Progress["state"];

// Of Marathon's API, `/v2`.

/** An app's definition, or some of its fields. The form knows these; what else there is is kept as it is. */
export type App = Partial<
  Pick<
    Marathon["App"],
    "id" | "cmd" | "args" | "cpus" | "mem" | "disk" | "gpus" | "instances" | "role" | "version" | "constraints"
  >
> & {
  env?: Record<string, unknown>;
  labels?: Record<string, string>;
  container?: Record<string, unknown> | null;
  [field: string]: unknown;
};

/** With what the document leaves open. */
export type MarathonDeployment = Omit<Marathon["Deployment"], "steps"> & {
  /** `currentStep` counts them from 1. */
  steps: { actions: { action: string; app?: string; pod?: string }[] }[];
};

/** With what the document leaves open. */
export type QueueItem = Omit<Marathon["QueueItem"], "app" | "processedOffersSummary"> & {
  app: App;
  processedOffersSummary: {
    processedOffersCount: number;
    unusedOffersCount: number;
    rejectSummaryLaunchAttempt: { reason: string; declined: number; processed: number }[];
  };
};
