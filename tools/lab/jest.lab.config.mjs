import shared from "../../jest.config.mjs";

/** Tests of all packages that need the lab, on one lab, one file at a time: they share its guest. */
export default {
  ...shared,
  rootDir: "../..",
  testMatch: ["<rootDir>/**/test-lab/**/*.lab.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/"],
  testTimeout: 300_000,
  maxWorkers: 1,
};
