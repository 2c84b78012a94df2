/** Which methods a path has, so that a wrong method is told from an unknown path. */
export class RouteTable {
  private readonly routes = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  add(url: string, method: string | readonly string[]): void {
    const route = this.routes.get(url) ?? {
      pattern: new RegExp(`^${url.replaceAll(/:[^/]+/g, "[^/]+")}$`),
      methods: new Set<string>(),
    };
    for (const name of typeof method === "string" ? [method] : method) route.methods.add(name);
    this.routes.set(url, route);
  }

  /** Empty for a path that no route has. */
  methodsOf(path: string): string[] {
    return [...this.routes.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ methods }) => [...methods]);
  }
}
