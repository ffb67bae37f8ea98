/*
 * Generations of the read models. Each is a schema with the same tables, and what a schema is called says what it is: a
 * switch renames two of them (docs/decisions/0019-generations-are-schemas.md).
 */

/** What readers see. */
export const LIVE = 'read_model';
/** What is being built, or was built and waits to be switched to. */
export const NEXT = 'read_model_next';
/** What was live before the last switch: an instant way back. */
export const PREVIOUS = 'read_model_previous';

/** The generations beside the live one. */
export const OTHERS = [NEXT, PREVIOUS] as const;
export type OtherGeneration = (typeof OTHERS)[number];

/** All of them; the place of each is the number of its locks. */
export const GENERATIONS = [LIVE, ...OTHERS] as const;

/**
 * A table without columns in `read_model_next`: while it is there, projectors feed that generation. It comes once the
 * bulk of the log is applied, since projectors would do no better work on that than the rebuild itself.
 */
export const FED_MARK = 'fed';

/**
 * An advisory lock. Whoever projects holds it shared for each transaction, taken before anything else; whoever switches
 * holds it alone, so that no transaction begins in one generation and ends in another.
 */
export const GENERATION_LOCK = 7_041_856;

/** An advisory lock. Held by whoever builds, switches or removes a generation, and shared by who migrates. */
export const REBUILD_LOCK = 7_041_857;
