/** Sets variables of this process (the AWS SDK reads them there). @returns the function that puts the old ones back. */
export function useEnvironment(env: NodeJS.ProcessEnv): () => void {
  const before = { ...process.env };
  const set = (to: NodeJS.ProcessEnv): void => {
    for (const name of Object.keys(process.env))
      if (to[name] === undefined) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, to);
  };
  set(env);
  return () => set(before);
}
