import nx from "@nx/eslint-plugin";
import prettier from "eslint-config-prettier";
import tseslint from "typescript-eslint";

/** Imports only go down: each floor names the floors that it may stand on. */
const floors = [
  ["floor:tool", ["floor:tool", "floor:cli", "floor:pipeline", "floor:service", "floor:model"]],
  ["floor:cli", ["floor:pipeline", "floor:service", "floor:model"]],
  ["floor:pipeline", ["floor:service", "floor:model"]],
  ["floor:service", ["floor:model", "floor:native"]],
  ["floor:model", ["floor:native"]],
  ["floor:native", ["floor:native"]],
];

export default tseslint.config(
  { ignores: ["**/dist/", "**/build/", "**/node_modules/", "**/.nx/", "**/*.mjs", "**/*.cjs"] },
  ...tseslint.configs.strictTypeChecked,
  {
    plugins: { "@nx": nx },
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: [] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@nx/enforce-module-boundaries": [
        "error",
        {
          enforceBuildableLibDependency: true,
          allow: [],
          depConstraints: floors.map(([sourceTag, onlyDependOnLibsWithTags]) => ({
            sourceTag,
            onlyDependOnLibsWithTags,
          })),
        },
      ],
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Effect's generators are values: `yield*` on a tagged error is idiomatic.
      "@typescript-eslint/only-throw-error": "off",
      "@typescript-eslint/require-await": "off",
      "no-restricted-globals": [
        "error",
        { name: "Date", message: "Use Effect's Clock, so that TestClock can drive it." },
      ],
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        { selector: "TryStatement", message: "Use Effect.try: errors are values." },
        { selector: "NewExpression[callee.name='Promise']", message: "Use Effect.callback." },
      ],
    },
  },
  {
    // They stand on the lab, above every floor, and no package depends on them.
    files: ["**/test-lab/**/*.ts"],
    rules: { "@nx/enforce-module-boundaries": "off" },
  },
  prettier,
);
