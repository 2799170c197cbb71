/** One configuration for every package: run with `--rootDir` at the package. */
export default {
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  testEnvironment: "node",
  testEnvironmentOptions: { customExportConditions: ["@virtflex/source", "node", "node-addons"] },
  extensionsToTreatAsEsm: [".ts"],
  transform: {
    "\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2023", parser: { syntax: "typescript" } }, module: { type: "es6" } },
    ],
  },
  testTimeout: 20_000,
  watchman: false,
};
