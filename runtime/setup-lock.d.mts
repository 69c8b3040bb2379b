// Types of setup-lock.mjs, which is plain JavaScript because it runs before anything is installed.
export function withSetupLock<T>(file: string, say: (line: string) => void, work: () => Promise<T>): Promise<T>;
export function isInvokedDirectly(moduleUrl: string): boolean;
